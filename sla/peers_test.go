package sla_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// The tests named B1, B2, … here and in the peers_test.go of store, engine and
// scheduler are cases that users of other trackers, help desks and on-call
// programs reported as bugs, or that those programs test for; docs/sla.md lists
// them in words. Where our rules want something else than the program that the
// case comes from, the test says so.

// TestB12: what waits to be sent loses its point when the work is done.
func TestB12(t *testing.T) {
	t.Parallel()
	urging := []model.Reason{model.ReasonReminder, model.ReasonAckMissed, model.ReasonOverdue, model.ReasonEscalation}
	news := []model.Reason{
		model.ReasonAssigned, model.ReasonReassigned, model.ReasonRaised, model.ReasonSubmitted, model.ReasonApproved,
		model.ReasonRejected, model.ReasonReopened, model.ReasonClosed, model.ReasonCancelled, model.ReasonPlanChange,
	}
	done := []model.Status{model.StatusApproved, model.StatusClosed, model.StatusCancelled}
	message := func(reason model.Reason) *model.Message {
		return &model.Message{Reason: reason, RecipientID: personID("ann"), Facts: model.Of(model.MessageFacts{Stage: 1})}
	}
	for _, status := range model.Statuses() {
		over := model.Valid(status, done)
		a := model.Action{Status: status, AssignedTo: personID("ann").Ptr(), SubmissionNo: 1}
		for _, reason := range urging {
			require.Equal(t, over, sla.Stale(message(reason), &a), "%s, %s", reason, status)
		}
		for _, reason := range news {
			require.False(t, sla.Stale(message(reason), &a), "%s, %s", reason, status)
		}
		require.Equal(t, status != model.StatusPendingApproval, sla.Stale(message(model.ReasonApprovalOverdue), &a), status)
		a.SubmissionNo = 2
		require.True(t, sla.Stale(message(model.ReasonApprovalOverdue), &a), "an earlier submission's, %s", status)
	}
	for _, owner := range []*model.UserID{personID("bob").Ptr(), nil} {
		a := model.Action{Status: model.StatusOpen, AssignedTo: owner}
		require.True(t, sla.Stale(message(model.ReasonReminder), &a), "another owner's to do")
		require.False(t, sla.Stale(message(model.ReasonOverdue), &a), "a manager's to know")
	}
}
