package main

import (
	"fmt"
	"time"

	"github.com/pxactions/px/model"
)

// divergence is where the history is not what the model says.
type divergence struct{ where, expected, found string }

// Error implements error.
func (d divergence) Error() string {
	return fmt.Sprintf("%s: expected %s; found %s", d.where, d.expected, d.found)
}

// checker compares a ledger with the predictions.
type checker struct {
	l     *ledger
	clock model.Clock
	moves map[string]*asked
	sents []*sent

	found  []divergence
	events int            // compared
	near   int            // moves in the minute before an event
	made   map[string]int // turns of each request
	late   []lateness
}

// lateness is how long after its time (real) something was done.
type lateness struct {
	what string
	due  time.Time // real instant
	by   time.Duration
}

func (k *checker) differ(where, expected, found string, args ...any) {
	k.found = append(k.found, divergence{where, expected, fmt.Sprintf(found, args...)})
}

// check compares all.
func (k *checker) check() {
	k.made = map[string]int{}
	k.feedback()
	for i := range k.l.actions {
		k.action(&k.l.actions[i])
	}
	k.asked()
}

// feedback: every accepted event has one row and one decision, the right one.
func (k *checker) feedback() {
	made := map[model.ActionID]string{}
	for _, s := range k.sents {
		where := "feedback " + s.id
		for _, odd := range s.odd {
			k.differ(where, "each answer as the first", "%s", odd)
		}
		if s.answers == 0 {
			k.differ(where, "an answer", "none until the end")
			continue
		}
		f, ok := k.l.feedback[s.id]
		if !ok || f.ID.String() != s.feedback {
			k.differ(where, "the accepted row "+s.feedback, "%s", f.ID)
			continue
		}
		if s.accepted > 1 {
			k.differ(where, "accepted once", "%d times", s.accepted)
		}
		if s.received != "" && s.received != f.ReceivedAt.UTC().Format(time.RFC3339) || !s.clock.Equal(f.ReceivedAt) {
			k.differ(where, "received at "+s.received+", "+s.clock.String(), "%s", f.ReceivedAt)
		}
		want := model.DecisionCreated
		if !s.negative {
			want = model.DecisionIgnored
		}
		if f.Decision != want || (f.ActionID != nil) != s.negative {
			k.differ(where, "decided "+string(want), "%q, action %v", f.Decision, f.ActionID)
			continue
		}
		if f.ActionID != nil {
			if other := made[*f.ActionID]; other != "" {
				k.differ(where, "an action of its own", "that of %s", other)
			}
			made[*f.ActionID] = s.id
			k.lateBy("decision", f.CreatedAt, *f.DecidedAt)
		}
	}
	if len(k.l.feedback) != len(k.sents) || len(k.l.actions) != len(made) {
		k.differ("feedback", fmt.Sprintf("%d rows, %d actions", len(k.sents), len(made)), "%d and %d", len(k.l.feedback), len(k.l.actions))
	}
}

func (k *checker) lateBy(what string, due, done time.Time) {
	k.late = append(k.late, lateness{what, k.clock.Real(due), k.clock.Real(done).Sub(k.clock.Real(due))})
}

// action replays one action's log.
func (k *checker) action(a *model.Action) {
	where := "action " + a.Ref + " " + a.ID.String()
	ts, err := turns(k.l.logs[a.ID], k.l.events[a.ID])
	if err != nil || len(ts) == 0 {
		k.differ(where, "a story that tells of each event once", "%v", err)
		return
	}
	k.early(where, a.ID)
	l, err := k.begin(a)
	if err != nil {
		k.differ(where, "a birth as it was sent", "%v", err)
		return
	}
	for i, t := range ts {
		var m *move
		if i > 0 && t.request != "" {
			k.made[t.request]++
			ask := k.moves[t.request]
			if ask == nil || ask.action != a.ID || ask.name != t.move {
				k.differ(where, "only moves that were asked for", "%s %s at %s", t.move, t.request, t.at)
				return
			}
			m = &ask.move
			if plan := l.plan(); len(plan) > 0 && plan[0].at.After(t.at) && !plan[0].at.After(t.at.Add(time.Minute)) {
				k.near++
			}
		}
		if t.at.After(k.l.asOf) {
			k.differ(where, "nothing before its time", "a row of %s, read at %s", t.at, k.l.asOf)
			return
		}
		if i > 0 {
			k.lateness(l, ts[i-1].at, t)
		}
		want, err := l.turn(t.at, m)
		if err != nil {
			k.differ(where, "legal moves", "%v at %s", err, t.at)
			return
		}
		k.events += len(t.events)
		if !sameEvents(want, t.events) {
			k.differ(fmt.Sprintf("%s, at %s (%s %s)", where, t.at.Format(time.DateTime), t.move, t.request), describe(want), "%s", describe(t.events))
			return
		}
	}
	k.standing(where, l, a)
}

// early compares each event's time with when PostgreSQL committed it.
func (k *checker) early(where string, id model.ActionID) {
	for _, e := range k.l.events[id] {
		at := k.l.commits[e.ID]
		for what, t := range map[string]time.Time{"planned": e.Planned, "taken": e.Fired} {
			if k.clock.Real(t).After(at) {
				k.differ(where, fmt.Sprintf("%s %d of period %d, %s %s, not before", e.Kind, e.Stage, e.Period, what, t.UTC().Format(time.DateTime)),
					"committed %s", k.clock.Virtual(at).UTC().Format(time.DateTime))
			}
		}
	}
}

// begin is the model of an action at its birth.
func (k *checker) begin(a *model.Action) (*life, error) {
	m := k.l.logs[a.ID][0].Metadata.V
	for _, t := range editions() {
		if t.name != m["sla_config"] {
			continue
		}
		for _, s := range k.sents {
			if a.FeedbackID != nil && s.feedback == a.FeedbackID.String() {
				if m["severity"] != s.severity {
					return nil, fmt.Errorf("severity %v, sent %s", m["severity"], s.severity)
				}
				return born(t, s.severity, s.clock.UTC().Truncate(time.Second)), nil
			}
		}
	}
	return nil, fmt.Errorf("feedback %v, config %v", a.FeedbackID, m["sla_config"])
}

// lateness notes how late the events of a turn were: from their time, or from
// the turn that planned them where that was later.
func (k *checker) lateness(l *life, planned time.Time, t recorded) {
	if len(t.events) == 0 {
		return
	}
	if plan := l.plan(); len(plan) > 0 {
		k.lateBy("event", later(plan[0].at, planned), t.at)
	}
}

// standing compares how an action stands in the end with the model.
func (k *checker) standing(where string, l *life, a *model.Action) {
	next := "nothing"
	if plan := l.plan(); len(plan) > 0 {
		next = fmt.Sprintf("%s %d at %s", plan[0].kind, plan[0].stage, plan[0].at.Format(time.DateTime))
		if !plan[0].at.After(k.l.asOf) {
			k.differ(where, "taken: "+next, "it is not")
		}
	}
	want := fmt.Sprintf("%s, %s, due %s, period %d, level %d, overdue %t, next %s", l.status, l.severity, l.due.Format(time.DateTime), l.period, l.level, l.overdue, next)
	next = "nothing"
	if a.NextAt != nil {
		next = fmt.Sprintf("%s %d at %s", a.NextKind, *a.NextStage, a.NextAt.UTC().Format(time.DateTime))
	}
	got := fmt.Sprintf("%s, %s, due %s, period %d, level %d, overdue %t, next %s", a.Status, a.Severity, a.DueAt.UTC().Format(time.DateTime), a.Period, a.EscalationLevel, a.IsOverdue, next)
	if got != want {
		k.differ(where, want, "%s", got)
	}
}

// asked: each move that was granted is made once, one that was refused not at all.
func (k *checker) asked() {
	for id, m := range k.moves {
		if m.fault != "" {
			k.differ("move "+id+" ("+m.name+" of action "+m.action.String()+")", "no answer 500, whatever is away", "%s", m.fault)
		}
		n, want := k.made[id], 1
		if m.code >= 300 {
			want = 0
		}
		if n != want && (m.code != 0 || n > 1) {
			k.differ("move "+id+" ("+m.name+" of action "+m.action.String()+")", fmt.Sprintf("made %d times, for it was answered %d", want, m.code), "%d times", n)
		}
	}
}
