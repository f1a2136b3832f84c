package client

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnEventThatIsNotUTF8IsNotSent(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	c, err := New(in.url, "px_key")
	require.NoError(t, err)
	_, err = c.SendBatch(t.Context(), []Feedback{
		{EventID: "a", Text: `a backslash \ufffd and a ` + "\ufffd"},
		{EventID: "b", Text: "p\xe8re", Metadata: map[string]any{"ward": "\xff"}},
	})
	var p *Problem
	require.ErrorAs(t, err, &p)
	assert.Equal(t, "intake: This event is not UTF-8: event 2 of the call; metadata: valid UTF-8; text: valid UTF-8", p.Error())
	assert.Zero(t, in.calls)
	_, err = c.Send(t.Context(), Feedback{EventID: "a", Text: `a backslash \ufffd and a ` + "\ufffd"})
	require.NoError(t, err)
}
