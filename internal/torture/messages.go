package main

import (
	"fmt"
	"slices"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/model"
)

// messages compares the outbox with what came to the receiver, and looks for
// those whom an event says it told.
func (k *checker) messages(calls []receiver.Call) {
	arrived := map[string][]receiver.Call{}
	for _, c := range calls {
		if c.Fault != nil {
			k.differ("call "+c.ID, "a good signature and a readable body", "%v", c.Fault)
		}
		arrived[c.ID] = append(arrived[c.ID], c)
	}
	byAction := map[model.ActionID][]model.Message{}
	keys := map[string]bool{}
	for _, m := range k.l.messages {
		byAction[m.ActionID] = append(byAction[m.ActionID], m)
		where := fmt.Sprintf("message %s (%s of action %s)", m.Key, m.Reason, m.ActionID)
		if keys[m.Key] {
			k.differ(where, "a key of its own", "one that another has")
		}
		keys[m.Key] = true
		k.message(where, m, arrived[m.Key])
	}
	for id := range arrived {
		if !keys[id] {
			k.differ("call "+id, "a message of the outbox", "none")
		}
	}
	for i := range k.l.actions {
		a := &k.l.actions[i]
		k.told(a, byAction[a.ID])
	}
}

// message compares one row with its calls.
func (k *checker) message(where string, m model.Message, calls []receiver.Call) {
	taken := 0
	for _, c := range calls {
		if c.Answer/100 == 2 {
			taken++
		}
		if string(c.Body) != string(calls[0].Body) {
			k.differ(where, "the same words at each try", "others")
		}
	}
	if len(calls) > m.Attempts {
		k.differ(where, fmt.Sprintf("at most %d calls, one a claim", m.Attempts), "%d", len(calls))
	}
	switch m.State {
	case model.MessageSent:
		if taken == 0 {
			k.differ(where, "a call that the receiver took, as it is sent", "%d calls, none taken", len(calls))
		}
		due := later(m.NotBefore, m.CreatedAt)
		if m.SentAt == nil || m.SentAt.Before(due) {
			k.differ(where, "sent not before "+due.String(), "%v", m.SentAt)
			return
		}
		if m.Attempts == 1 {
			k.lateBy("message", due, *m.SentAt)
		}
	case model.MessageSuppressed:
		if m.Attempts == 0 && len(calls) > 0 {
			k.differ(where, "no call, as it is suppressed", "%d", len(calls))
		}
	case model.MessageFailed:
	default:
		k.differ(where, "an end", "%s after %d attempts: %s", m.State, m.Attempts, m.LastError)
	}
}

// told looks for the message to each person whom an event says it told, and for
// the one to the first owner.
func (k *checker) told(a *model.Action, ms []model.Message) {
	heard := func(to model.UserID, r model.Reason, at model.DeadlineEvent) (n int) {
		for _, m := range ms {
			if m.RecipientID == to && m.CreatedAt.Equal(at.Fired) && (m.Reason == r || slices.Contains(m.Also.V, r)) {
				n++
			}
		}
		return n
	}
	where := "action " + a.Ref + " " + a.ID.String()
	for _, e := range k.l.events[a.ID] {
		if e.Done != model.DoneTold || e.Kind == model.EventResume {
			continue
		}
		if len(e.Told.V) == 0 {
			k.differ(where, fmt.Sprintf("%s %d tells somebody", e.Kind, e.Stage), "nobody")
		}
		for _, to := range e.Told.V {
			if n := heard(to, model.Reason(e.Kind), e); n != 1 {
				k.differ(where, fmt.Sprintf("one message to %s of %s %d at %s", to, e.Kind, e.Stage, e.Fired), "%d", n)
			}
		}
	}
	if !slices.ContainsFunc(ms, func(m model.Message) bool {
		return m.CreatedAt.Equal(a.CreatedAt) && (m.Reason == model.ReasonAssigned || slices.Contains(m.Also.V, model.ReasonAssigned))
	}) {
		k.differ(where, "its first owner told", "no such message")
	}
}
