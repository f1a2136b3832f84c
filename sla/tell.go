package sla

import (
	"cmp"
	"slices"

	"github.com/pxactions/px/model"
)

// voice is one thing to tell one person. The voices of a turn become at most one
// message per person and channel.
type voice struct {
	to     model.UserID
	reason model.Reason
	event  int             // index among the turn's events; -1: none
	copy   bool            // told as a copy, not as a target
	absent *model.UserID   // who is away and in whose place they are told; nil: nobody
	lapsed bool            // superseded by the move
	via    []model.Channel // over these alone, for who has one of them; empty: all
}

// say adds a voice for each of the people, and one for whoever stands in for an
// owner among them who is away.
func (t *turn) say(v voice, to ...model.UserID) {
	for _, id := range to {
		v.to = id
		t.voices = append(t.voices, v)
	}
	if id, ok := t.standIn(to); ok {
		v.to, v.copy, v.absent = id, true, t.Action.AssignedTo
		t.voices = append(t.voices, v)
	}
}

// standIn is who is to be told beside an owner among those told who is away; false:
// the owner is there or not among them, or nobody stands in who is not told
// anyway, or the stand-in makes the move.
func (t *turn) standIn(told []model.UserID) (model.UserID, bool) {
	owner := t.Action.AssignedTo
	if owner == nil || !slices.Contains(told, *owner) {
		return model.UserID{}, false
	}
	id, ok := t.Dir.StandIn(*owner, t.now, t.barred())
	return id, ok && !slices.Contains(told, id) && (t.actor == nil || *t.actor != id)
}

// sayMove tells people of the move itself, or of what the end of a hold changed.
// Who makes it gets no message about it.
func (t *turn) sayMove(r model.Reason, to ...model.UserID) {
	if t.actor != nil {
		to = without(to, *t.actor)
	}
	t.say(voice{reason: r, event: -1, lapsed: t.lapsed}, to...)
}

// messages folds the voices: one message per person and channel, for the
// weightiest reason, naming the others; heaviest first, then by the person's
// code. What the move superseded is only written where it is all there is for
// that person, as a suppressed message.
func (t *turn) messages() []Telling {
	byPerson := map[model.UserID][]voice{}
	var people []model.UserID
	for _, v := range t.voices {
		if byPerson[v.to] == nil {
			people = append(people, v.to)
		}
		byPerson[v.to] = append(byPerson[v.to], v)
	}
	for id, vs := range byPerson {
		byPerson[id] = folded(vs)
	}
	slices.SortFunc(people, func(a, b model.UserID) int {
		va, vb := byPerson[a][0], byPerson[b][0]
		return cmp.Or(cmp.Compare(vb.reason.Weight(), va.reason.Weight()), cmp.Compare(t.code(a), t.code(b)))
	})
	var ms []Telling
	for _, id := range people {
		for _, ch := range t.channels(id, byPerson[id][0].via) {
			ms = append(ms, t.message(byPerson[id], ch))
		}
	}
	return ms
}

// folded is what one person hears, heaviest first and each reason once.
func folded(vs []voice) []voice {
	if slices.ContainsFunc(vs, func(v voice) bool { return !v.lapsed }) {
		vs = slices.DeleteFunc(vs, func(v voice) bool { return v.lapsed })
	}
	slices.SortStableFunc(vs, func(a, b voice) int { return cmp.Compare(b.reason.Weight(), a.reason.Weight()) })
	var once []voice
	for _, v := range vs {
		if !slices.ContainsFunc(once, func(o voice) bool { return o.reason == v.reason }) {
			once = append(once, v)
		}
	}
	return once
}

func (t *turn) message(vs []voice, ch model.Channel) Telling {
	a, main := &t.Action, vs[0]
	m := model.Message{
		ActionID: a.ID, ActionVersion: a.Version, RecipientID: main.to, Channel: ch, Reason: main.reason,
		Also: model.Of([]model.Reason{}), Facts: model.Of(t.facts(main)),
		State: model.MessagePending, NotBefore: t.now, CreatedAt: t.now,
	}
	for _, v := range vs[1:] {
		m.Also.V = append(m.Also.V, v.reason)
	}
	if why := t.suppressed(main); why != "" {
		m.State, m.SuppressedReason = model.MessageSuppressed, why
	}
	return Telling{Message: m, EventOf: main.event}
}

// suppressed says why a message isn't to be sent; empty: it is.
func (t *turn) suppressed(v voice) string {
	if v.lapsed {
		return "superseded"
	}
	if t.Action.Shadow {
		return "shadow"
	}
	if u := t.Dir.Users[v.to]; u == nil || !u.Active {
		return "inactive"
	}
	return ""
}

// Stale reports whether a message that still waits has lost its point, as its
// action stands now: it asks for what is done, or asks somebody who is not the
// owner any more and stood in for none. What tells of a move stays true and is
// never stale.
func Stale(m *model.Message, a *model.Action) bool {
	done := !a.Live() || a.Status == model.StatusApproved
	switch m.Reason {
	case model.ReasonReminder:
		return done || m.Facts.V.StandsInFor == "" && model.Deref(a.AssignedTo) != m.RecipientID
	case model.ReasonAckMissed, model.ReasonOverdue, model.ReasonEscalation:
		return done
	case model.ReasonApprovalReminder, model.ReasonApprovalOverdue:
		return a.Status != model.StatusPendingApproval || m.Facts.V.Stage != a.SubmissionNo
	default:
		return false
	}
}

// facts are pinned as the action stands after the turn.
func (t *turn) facts(v voice) model.MessageFacts {
	a := &t.Action
	f := model.MessageFacts{
		Ref: a.Ref, Category: a.Category, Severity: a.Severity, Priority: a.Priority, Status: a.Status,
		DueAt: a.DueAt, NextAt: a.NextAt, NextKind: a.NextKind, Copy: v.copy,
	}
	if h := t.Dir.Hospitals[a.HospitalID]; h != nil {
		f.Hospital = cmp.Or(h.Name, h.Code)
	}
	if d := t.Dir.Departments[model.Deref(a.DepartmentID)]; d != nil {
		f.Department = cmp.Or(d.Name, d.Code)
	}
	if v.absent != nil {
		if u := t.Dir.Users[*v.absent]; u != nil {
			f.StandsInFor = cmp.Or(u.Name, u.Code)
		}
	}
	if v.event >= 0 {
		ev := t.Events[t.first+v.event]
		f.Stage, f.LateS = ev.Stage, ev.LateS
	}
	return f
}

// channels are how to reach a person, each once; those who name none are
// reached by the log channel. Those with none of via are reached by all of theirs.
func (t *turn) channels(id model.UserID, via []model.Channel) []model.Channel {
	var chs []model.Channel
	if u := t.Dir.Users[id]; u != nil {
		for _, ch := range u.Channels.V {
			if !slices.Contains(chs, ch) {
				chs = append(chs, ch)
			}
		}
	}
	if len(chs) == 0 {
		chs = []model.Channel{model.ChannelLog}
	}
	if some := slices.DeleteFunc(slices.Clone(chs), func(ch model.Channel) bool { return !slices.Contains(via, ch) }); len(some) > 0 {
		return some
	}
	return chs
}
