package sla

import (
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// maxDays is the longest that a policy may keep something: as maxHours.
const maxDays = maxHours / 24

// RetentionSpec says how long what has ended is kept, in days of domain time. The
// zero value keeps everything for ever.
type RetentionSpec struct {
	WordsDays    int `yaml:"words_days,omitzero" json:"words_days,omitzero"`       // words of ended actions, and of ignored and quarantined feedback; 0: never erased
	MessagesDays int `yaml:"messages_days,omitzero" json:"messages_days,omitzero"` // messages of ended actions; 0: never dropped
}

// retention finds what is wrong with it.
func (c *checker) retention(r *RetentionSpec) {
	if r == nil {
		return
	}
	for _, k := range []struct {
		key  string
		days int
	}{{"words_days", r.WordsDays}, {"messages_days", r.MessagesDays}} {
		if k.days < 0 || k.days > maxDays {
			c.add("retention."+k.key, "range", "must be a number of days from 1 to %d; 0, or left out, keeps for ever", maxDays)
		}
	}
}

// fewDays is below how many days of words a warning stands.
const fewDays = 30

// retention warns of what may be meant as another unit: it cannot be undone.
func (l *linter) retention(r *RetentionSpec) {
	if r != nil && r.WordsDays > 0 && r.WordsDays < fewDays {
		l.warn("retention.words_days", "few", "erases the words of all that ended more than %d days ago, within a day of being applied; it cannot be undone", r.WordsDays)
	}
}

// WordsUntil is the instant at or before which something must have ended for its
// words to be erased now; false: none are.
func (r *Rules) WordsUntil(now time.Time) (time.Time, bool) {
	return daysBefore(now, r.retention.WordsDays)
}

// MessagesUntil is the same of messages, which are dropped.
func (r *Rules) MessagesUntil(now time.Time) (time.Time, bool) {
	return daysBefore(now, r.retention.MessagesDays)
}

func daysBefore(now time.Time, days int) (time.Time, bool) {
	return now.Add(-time.Duration(days) * 24 * time.Hour), days > 0
}

// LegalHold keeps an action from being erased, or lets it be again: what is due is
// settled first, and its story says who did it and why. Errors:
// model.FieldErrors where there is no reason, or it is so already;
// model.ErrForbidden.
func LegalHold(c Case, on bool, m MoveRequest, now time.Time) (Outcome, error) {
	t := newTurn(c, now)
	t.actor, t.origin = m.Actor, m.Origin
	t.settle()
	if t.actor != nil || t.origin.Key != nil {
		x, who, err := t.access()
		if err == nil {
			err = t.permitted(x, who, model.RightLegalHold)
		}
		if err != nil {
			return Outcome{}, err
		}
	}
	a := &t.Action
	switch {
	case strings.TrimSpace(m.Reason) == "":
		return Outcome{}, fieldError("reason", "required", "say why")
	case on && a.LegalHoldAt != nil:
		return Outcome{}, fieldError("legal_hold", "unchanged", "off: it is on since "+clockTime(*a.LegalHoldAt))
	case !on && a.LegalHoldAt == nil:
		return Outcome{}, fieldError("legal_hold", "unchanged", "on: there is none")
	}
	what := "Legal hold lifted"
	a.LegalHoldAt = nil
	if on {
		what, a.LegalHoldAt = "Legal hold set: nothing of it is erased", t.at()
	}
	t.log(model.LogNote, what, model.LogMetadata{"move": model.MoveLegalHold, "on": on}).Text = m.Reason
	return t.outcome(), nil
}

// ErasureCause says why words were erased.
type ErasureCause string

// ErasedByRetention: the policy's days are over. ErasedOnRequest: the person it is
// about asked for it.
const (
	ErasedByRetention ErasureCause = "retention"
	ErasedOnRequest   ErasureCause = "request"
)

// Erasure is the row of an action's story that tells that its words were erased.
func Erasure(a *model.Action, cause ErasureCause, at time.Time) model.ActionLog {
	what := "Words erased: the policy's days are over"
	if cause == ErasedOnRequest {
		what = "Words erased on request"
	}
	return model.ActionLog{
		ActionID: a.ID, Seq: a.LogSeq + 1, LogType: model.LogNote, Message: what,
		Metadata: model.Of(model.LogMetadata{"move": model.MoveErase, "cause": cause}), CreatedAt: at,
	}
}
