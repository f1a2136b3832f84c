package sla

import (
	"time"

	"github.com/pxactions/px/model"
)

// Case is all that the rules know of one action when it fires or moves.
type Case struct {
	Action model.Action
	Events []model.DeadlineEvent // all taken so far, any order
	Config *Config               // the pinned one
	Open   Calendar              // its open time, as pinned; zero: around the clock
	Dir    *Directory

	Maker *model.UserID // new action: who makes it by hand; nil: nobody
	From  model.Origin  // new action: where its feedback comes from, for the log

	Evidence int // how many files are marked as evidence; known for submit and close alone
}

// Outcome is what a decision writes, all in one transaction. Ids of new rows
// are left zero for the store to fill; a message's EventID is set through
// EventOf. Version, LogSeq and Gen are already counted up in Action; a log
// row's Seq is set.
type Outcome struct {
	Action   model.Action
	Events   []model.DeadlineEvent
	Logs     []model.ActionLog
	Files    []model.ActionAttachment
	Messages []Telling
}

// Telling is one message to be written: the row and which of the outcome's
// events it tells of.
type Telling struct {
	model.Message
	EventOf int // index into Outcome.Events; -1: none
}

// PlannedEvent is one untaken event of a plan.
type PlannedEvent struct {
	Kind  model.EventKind
	Stage int
	At    time.Time
}

// MoveRequest is a person's move on an action.
type MoveRequest struct {
	Move   model.Move
	Actor  *model.UserID // nil: an API key that names nobody, the program, or an operator without a name
	Origin model.Origin  // where it came from, for the log
	Reason string        // words; required where the transition table says so

	Assignee   model.UserID       // assign: the new owner
	Severity   model.Severity     // severity: the new one
	Department model.DepartmentID // department: the new one
	Config     *Config            // department: the config that matches there; nil keeps the pinned one
	OpenTime   OpenTime           // department, with Config: the calendar that counts there
	DueAt      time.Time          // due: the new deadline
	Until      time.Time          // hold: when it resumes by itself; zero: as late as the SLA config allows
	Text       string             // note: the words
	ActionPlan string             // submit, close: what was planned; empty leaves it
	Outcome    string             // submit, close: what came of it; empty leaves it
	RootCause  string             // submit, close: its code; empty leaves it
	Informed   *Informed          // submit, close: whether the complainant was told; nil leaves it

	File *model.ActionAttachment // attach: the row of a file that is stored; its id, name, type, size, hash and key are set
}

// Informed says that the complainant was told of the outcome, or why not.
type Informed struct {
	At     time.Time         // when; not in the future
	How    model.InformedHow //
	By     model.UserID      // who told them; zero: who makes the move
	WhyNot string            // words; not empty: they were not told, and the others are empty
}

// Loads is how many live actions each user has, and when each was last
// assigned one, as read without a lock.
type Loads map[model.UserID]Load

// Load is one user's share.
type Load struct {
	Live         int
	LastAssigned time.Time // zero: never
}
