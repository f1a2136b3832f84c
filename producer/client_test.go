package producer_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/producer/client"
)

func TestClientAndIntakeAgree(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, err := client.New(w.server.URL, w.key())
	require.NoError(t, err)
	one, five, at := 1.0, 5.0, time.Now().Add(-time.Hour)
	now, err := w.store.Now(t.Context())
	require.NoError(t, err)
	received := now.Domain.Add(-time.Hour)
	full := client.Feedback{
		EventID: "c1", SourceType: "survey", SourceRef: "r", SourceObject: &client.SourceObject{ContentType: "surveys.response", ObjectID: "0190a000-0000-7000-8000-000000000001"},
		Subject: "MRN-1", Hospital: "RUH", Department: "ED", Survey: "INPATIENT", Kind: "complaint",
		Score: &client.Score{Value: 0, Min: new(float64), Max: &five, Better: "high", Metric: "score"}, Sentiment: &one,
		KPI:      &client.KPI{Name: "door-to-doctor", Value: 61, Target: 30, Better: "low"},
		Category: "other", Severity: "low", Title: "t", Text: "x", InvolvedUsers: []string{"u-1"}, Restricted: true,
		OccurredAt: &at, ReceivedAt: &received, Mode: "shadow", Metadata: map[string]any{"ward_bed": "3-12"},
	}
	first, err := c.Send(t.Context(), full)
	require.NoError(t, err)
	assert.Equal(t, client.StatusAccepted, first.Status)
	again, err := c.Send(t.Context(), full)
	require.NoError(t, err)
	assert.Equal(t, client.StatusDuplicate, again.Status)
	assert.Equal(t, first.ID, again.ID)

	full.Hospital = "NOPE"
	_, err = c.Send(t.Context(), full)
	var p *client.Problem
	require.ErrorAs(t, err, &p)
	assert.Equal(t, 422, p.Status)
	assert.Equal(t, "hospital", p.Errors[0].Field)

	b, err := c.SendBatch(t.Context(), []client.Feedback{{EventID: "c2", SourceType: "complaint", Hospital: "RUH"}, {EventID: "c3"}})
	require.NoError(t, err)
	assert.Equal(t, [2]int{1, 1}, [2]int{b.Accepted, b.Failed})

	for _, get := range []func() (client.Outcome, error){
		func() (client.Outcome, error) { return c.Get(t.Context(), first.ID) },
		func() (client.Outcome, error) { return c.GetByEvent(t.Context(), "c1") },
	} {
		o, err := get()
		require.NoError(t, err)
		assert.Equal(t, "pending", o.Status)
		assert.Equal(t, first.ID, o.ID)
		assert.Equal(t, "shadow", o.Mode)
	}
	_, err = c.Get(t.Context(), "none")
	require.ErrorAs(t, err, &p)
	assert.Equal(t, 404, p.Status)
}
