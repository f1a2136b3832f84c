package apiclient_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/apiclient"
	"github.com/pxactions/px/internal/openapi"
	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/producer"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/web"
)

// serve starts px web on a world of its own, and makes a client with a key that
// may do all.
func serve(t *testing.T) (*scenario.World, *httptest.Server, *apiclient.ClientWithResponses) {
	t.Helper()
	w := scenario.New(t, scenario.NoAck())
	doc, err := openapi.New("", producer.Describe, web.Describe)
	require.NoError(t, err)
	h, err := web.New(web.Options{Store: w.Store, Engine: w.Engine, Doc: doc, Log: zerolog.New(zerolog.NewTestWriter(t))})
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	key, err := w.Store.CreateKey(t.Context(), &model.APIKey{Name: "client", SourceSystem: "desk", Scopes: model.Of(store.Scopes())})
	require.NoError(t, err)
	c, err := apiclient.NewClientWithResponses(srv.URL, apiclient.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+key)
		return nil
	}))
	require.NoError(t, err)
	return w, srv, c
}

func ptr[T any](v T) *T { return &v }

// TestTheClientIsOfTheServedDescription fails when the description has changed
// since the client was generated.
func TestTheClientIsOfTheServedDescription(t *testing.T) {
	t.Parallel()
	_, srv, _ := serve(t)
	res, err := http.Get(srv.URL + "/openapi.json")
	require.NoError(t, err)
	served, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	kept, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	var a, b any
	require.NoError(t, json.Unmarshal(kept, &a))
	require.NoError(t, json.Unmarshal(served, &b))
	if !assert.ObjectsAreEqual(a, b) {
		t.Error("the client is of another description than the one that is served: run `make client` in the repository's root")
	}
}

// TestAnActionIsWorkedWithAGeneratedClient tells a whole story through the client:
// what it cannot say or read is wrong in the description.
func TestAnActionIsWorkedWithAGeneratedClient(t *testing.T) {
	t.Parallel()
	w, _, c := serve(t)
	ctx, admin := t.Context(), ptr("ruh-amal")
	made, err := c.MakeActionWithResponse(ctx, &apiclient.MakeActionParams{OnBehalfOf: admin, IdempotencyKey: ptr("round-7")}, apiclient.ManualAction{
		Hospital: "RUH", Department: ptr("ED"), Title: "The floor is wet", Severity: ptr(apiclient.ManualActionSeverityHigh),
		SourceType: ptr(apiclient.ManualActionSourceTypeRounds), Metadata: &map[string]any{"round": 7},
	})
	require.NoError(t, err)
	require.NotNil(t, made.JSON201, "%s", made.Body)
	id := made.JSON201.Id.String()
	assert.Equal(t, "/v1/actions/"+id, made.HTTPResponse.Header.Get("Location"))

	list, err := c.ListActionsWithResponse(ctx, &apiclient.ListActionsParams{
		OnBehalfOf: admin, Hospital: ptr("RUH"), Total: ptr(true),
		Status: &[]apiclient.ListActionsParamsStatus{"open", "in_progress"},
	})
	require.NoError(t, err)
	require.NotNil(t, list.JSON200, "%s", list.Body)
	require.Len(t, list.JSON200.Actions, 1)
	assert.Equal(t, int64(1), list.JSON200.Total.Count)
	owner := list.JSON200.Actions[0].AssignedTo
	require.NotNil(t, owner)

	got, err := c.GetActionWithResponse(ctx, id, &apiclient.GetActionParams{OnBehalfOf: owner})
	require.NoError(t, err)
	require.NotNil(t, got.JSON200, "%s", got.Body)
	assert.Equal(t, apiclient.ActionSeverityHigh, got.JSON200.Severity)
	etag := ptr(got.HTTPResponse.Header.Get("ETag"))

	started, err := c.StartActionWithResponse(ctx, id, &apiclient.StartActionParams{OnBehalfOf: owner, IfMatch: etag}, apiclient.FreeMove{})
	require.NoError(t, err)
	require.NotNil(t, started.JSON200, "%s", started.Body)
	stale, err := c.NoteActionWithResponse(ctx, id, &apiclient.NoteActionParams{OnBehalfOf: owner, IfMatch: etag}, apiclient.NoteMove{Text: "x"})
	require.NoError(t, err)
	require.NotNil(t, stale.ApplicationproblemJSON412, "%s", stale.Body)
	assert.Equal(t, "stale-version", stale.ApplicationproblemJSON412.Code)
	assert.Equal(t, started.JSON200.Version, *stale.ApplicationproblemJSON412.Version)

	submitted, err := c.SubmitActionWithResponse(ctx, id, &apiclient.SubmitActionParams{OnBehalfOf: owner}, apiclient.ResultMove{
		ActionPlan: ptr("Dry it"), Outcome: ptr("It is dry"), RootCause: ptr("staffing"),
	})
	require.NoError(t, err)
	require.NotNil(t, submitted.JSON200, "%s", submitted.Body)
	require.Equal(t, apiclient.ActionStatusPendingApproval, submitted.JSON200.Status)
	finish(t, c, id, *owner)
	w.Holds()
}

// finish approves and closes a submitted action, and reads its story.
func finish(t *testing.T, c *apiclient.ClientWithResponses, id, owner string) {
	t.Helper()
	ctx, approver := t.Context(), ptr("ruh-tariq")
	illegal, err := c.StartActionWithResponse(ctx, id, &apiclient.StartActionParams{OnBehalfOf: approver}, apiclient.FreeMove{})
	require.NoError(t, err)
	require.NotNil(t, illegal.ApplicationproblemJSON409, "%s", illegal.Body)
	assert.Equal(t, "illegal-move", illegal.ApplicationproblemJSON409.Code)
	assert.Equal(t, apiclient.ProblemActionStatusPendingApproval, *illegal.ApplicationproblemJSON409.ActionStatus)
	assert.Contains(t, *illegal.ApplicationproblemJSON409.Legal, "approve")
	own, err := c.ApproveActionWithResponse(ctx, id, &apiclient.ApproveActionParams{OnBehalfOf: &owner}, apiclient.FreeMove{})
	require.NoError(t, err)
	require.NotNil(t, own.ApplicationproblemJSON403, "%s", own.Body)

	approved, err := c.ApproveActionWithResponse(ctx, id, &apiclient.ApproveActionParams{OnBehalfOf: approver}, apiclient.FreeMove{})
	require.NoError(t, err)
	require.NotNil(t, approved.JSON200, "%s", approved.Body)
	assert.Equal(t, "ruh-tariq", *approved.JSON200.ApprovedBy)
	closed, err := c.CloseActionWithResponse(ctx, id, &apiclient.CloseActionParams{OnBehalfOf: approver}, apiclient.ResultMove{})
	require.NoError(t, err)
	require.NotNil(t, closed.JSON200, "%s", closed.Body)
	assert.Equal(t, apiclient.ActionStatusClosed, closed.JSON200.Status)

	story, err := c.GetTimelineWithResponse(ctx, id, &apiclient.GetTimelineParams{})
	require.NoError(t, err)
	require.NotNil(t, story.JSON200, "%s", story.Body)
	var states []apiclient.LogRowNewStatus
	for _, l := range story.JSON200.Log {
		if l.NewStatus != nil {
			states = append(states, *l.NewStatus)
		}
	}
	assert.Equal(t, []apiclient.LogRowNewStatus{"in_progress", "pending_approval", "approved", "closed"}, states)
	gone, err := c.GetActionWithResponse(ctx, "RUH-26-9999999", &apiclient.GetActionParams{})
	require.NoError(t, err)
	require.NotNil(t, gone.ApplicationproblemJSON404, "%s", gone.Body)
}
