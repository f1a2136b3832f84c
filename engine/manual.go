package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/google/uuid"

	"github.com/pxactions/px/model"
)

// Manual is an action that somebody makes by hand: a feedback of a source that
// is always acted on, decided at once.
type Manual struct {
	Event Event  // its EventID is made here
	Once  string // the maker's own key: with the same one the same action is made once; empty: always another
}

// Made is what became of it.
type Made struct {
	Receipt Receipt
	Action  *model.Action // nil: it is not decided yet, or no action came of it
	Err     error         // why it is not decided yet; the sweep tries again
}

// ManualSources lists the source types of actions made by hand.
func ManualSources() []model.SourceType {
	return []model.SourceType{
		model.SourceManual, model.SourcePatientFamilyCommittee, model.SourceExecutiveCommittee, model.SourceDepartmentMeeting, model.SourceRounds,
		model.SourceStaffFeedback, model.SourcePatientObservation, model.SourceQualityAudit, model.SourceManagementReview,
	}
}

// Make accepts the feedback of an action made by hand and decides it. Once it
// returns without an error the feedback is committed, decided or not. Errors:
// those of a receipt.
func (e *Engine) Make(ctx context.Context, src Source, m Manual) (Made, error) {
	if m.Event.Subject != "" && len(e.SubjectKey) == 0 {
		return Made{}, model.FieldErrors{{Field: "subject", Code: "conflict", Want: "nothing: this process has no PX_SUBJECT_KEY to keep it by"}}
	}
	m.Event.EventID = manualID(m.Once)
	receipts, err := e.Accept(ctx, src, []Event{m.Event})
	if err == nil {
		err = receipts[0].Err
	}
	if err != nil {
		return Made{}, err
	}
	made := Made{Receipt: receipts[0]}
	created, err := e.Decide(ctx, []model.FeedbackID{made.Receipt.ID})
	if err != nil || len(created) == 0 {
		made.Err = errors.Join(err, errUndecided)
		return made, nil
	}
	made.Receipt.Decision, made.Receipt.Reason, made.Receipt.ActionID = created[0].Decision, created[0].Reason, created[0].ActionID
	if created[0].ActionID != nil {
		made.Action, made.Err = e.Store.ActionByRef(ctx, created[0].ActionID.String())
	}
	return made, nil
}

var errUndecided = errors.New("not decided yet")

// manualID is the event id of an action made by hand.
func manualID(once string) string {
	const mark = "manual:"
	switch {
	case once == "":
		return mark + uuid.NewString()
	case len(mark)+len(once) > 200:
		sum := sha256.Sum256([]byte(once))
		return mark + "sha256:" + hex.EncodeToString(sum[:])
	default:
		return mark + once
	}
}
