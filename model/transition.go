package model

import "slices"

// Move is something a person does to an action.
type Move string

// The moves.
const (
	MoveStart      Move = "start"
	MoveSubmit     Move = "submit"
	MoveApprove    Move = "approve"
	MoveReject     Move = "reject"
	MoveClose      Move = "close"
	MoveCancel     Move = "cancel"
	MoveReopen     Move = "reopen"
	MoveAssign     Move = "assign"
	MoveNote       Move = "note"
	MoveSeverity   Move = "severity"
	MoveDepartment Move = "department"
	MoveDue        Move = "due"
	MoveHold       Move = "hold"
	MoveResume     Move = "resume"
	MoveEscalate   Move = "escalate"
	MoveAttach     Move = "attach"

	// In no table. The program's own: a calendar has changed, an owner is not
	// active any more or did not start, a policy is applied to open actions, a
	// feedback has joined. And a person's on a feedback: it was joined wrongly.
	MoveCalendar Move = "calendar"
	MoveReroute  Move = "reroute"
	MovePolicy   Move = "policy"
	MoveMerge    Move = "merge"
	MoveUnmerge  Move = "unmerge"

	// A source system's, on a feedback: it says something else now, or takes it back.
	MoveRevise  Move = "revise"
	MoveRetract Move = "retract"

	// On what is kept rather than on the work: nothing may be erased, or may be again;
	// and words were erased.
	MoveLegalHold Move = "legal_hold"
	MoveErase     Move = "erase"
)

// transition is one row of the table: from these statuses to that one.
// An empty To leaves the status as it is.
type transition struct {
	Move        Move
	From        []Status
	To          Status
	NeedsReason bool
}

// transitions is the transition table: nothing else decides which moves are
// legal. That close needs no approval when coming from in_progress is checked
// by the rules, which know the action.
func transitions() []transition {
	open := []Status{StatusOpen, StatusInProgress}
	live := []Status{StatusOpen, StatusInProgress, StatusPendingApproval, StatusApproved}
	return []transition{
		{MoveStart, []Status{StatusOpen}, StatusInProgress, false},
		{MoveSubmit, []Status{StatusInProgress}, StatusPendingApproval, false},
		{MoveApprove, []Status{StatusPendingApproval}, StatusApproved, false},
		{MoveReject, []Status{StatusPendingApproval}, StatusInProgress, true},
		{MoveClose, []Status{StatusInProgress, StatusApproved}, StatusClosed, false},
		{MoveCancel, live, StatusCancelled, true},
		{MoveReopen, []Status{StatusClosed}, StatusInProgress, true},
		{MoveAssign, live, "", false},
		{MoveNote, Statuses(), "", false},
		{MoveSeverity, open, "", false},
		{MoveDepartment, open, "", false},
		{MoveDue, open, "", true},
		{MoveHold, open, "", true},
		{MoveResume, open, "", false},
		{MoveEscalate, open, "", true},
		{MoveAttach, live, "", false},
	}
}

// Moves lists every move in the order of the table.
func Moves() []Move {
	ts := transitions()
	ms := make([]Move, len(ts))
	for i, t := range ts {
		ms[i] = t.Move
	}
	return ms
}

// Legal lists the moves that the table allows from a status; held tells
// whether the action is on hold, which leaves resume, cancel, note and attach.
func Legal(from Status, held bool) []Move {
	var ms []Move
	for _, t := range transitions() {
		if slices.Contains(t.From, from) && heldAllows(t.Move, held) {
			ms = append(ms, t.Move)
		}
	}
	return ms
}

func heldAllows(m Move, held bool) bool {
	switch m {
	case MoveResume:
		return held
	case MoveCancel, MoveNote, MoveAttach:
		return true
	default:
		return !held
	}
}

// Transition returns the status that move leads to, or a *TransitionError that
// names the legal moves. A move that needs a reason and has none is a
// FieldErrors naming "reason".
func Transition(a *Action, m Move, reason string) (Status, error) {
	legal := Legal(a.Status, a.Held())
	if !slices.Contains(legal, m) {
		return "", &TransitionError{Move: m, From: a.Status, Legal: legal}
	}
	for _, t := range transitions() {
		if t.Move != m {
			continue
		}
		if t.NeedsReason && reason == "" {
			var fe FieldErrors
			fe.Add("reason", "required", "say why: to "+string(m)+" takes a reason")
			return "", fe
		}
		if t.To == "" {
			return a.Status, nil
		}
		return t.To, nil
	}
	return "", &TransitionError{Move: m, From: a.Status, Legal: legal}
}
