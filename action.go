package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

type actionCmd struct {
	List actionListCmd `cmd:"" help:"List actions, newest first."`
	Show actionShowCmd `cmd:"" help:"Show one action: facts, story, and what comes next."`

	Start   startCmd   `cmd:"" help:"Start working on an open action."`
	Submit  submitCmd  `cmd:"" help:"Submit an action for approval."`
	Approve approveCmd `cmd:"" help:"Approve a submitted action."`
	Reject  rejectCmd  `cmd:"" help:"Reject a submitted action."`
	Close   closeCmd   `cmd:"" help:"Close an approved action, or one that needs no approval."`
	Cancel  cancelCmd  `cmd:"" help:"Cancel an action."`
	Assign  assignCmd  `cmd:"" help:"Give an action to somebody."`
	Note    noteCmd    `cmd:"" help:"Add a note."`

	Severity   severityCmd   `cmd:"" help:"Change an action's severity, and its deadline with it."`
	Department departmentCmd `cmd:"" help:"Give an action to another department of its hospital."`
	Due        dueCmd        `cmd:"" help:"Set an action's deadline by hand."`
	Hold       holdCmd       `cmd:"" help:"Hold an action: its clock stands still, and starts again by itself."`
	Resume     resumeCmd     `cmd:"" help:"End a hold before its time."`
	Escalate   escalateCmd   `cmd:"" help:"Escalate an action at once: the next stage tells now."`
	Reopen     reopenCmd     `cmd:"" help:"Reopen a closed action; its target counts afresh."`

	LegalHold legalHoldCmd `cmd:"" help:"Keep an action from being erased, or let it be again."`

	Attach attachCmd `cmd:"" help:"Add a file to an action."`
	Files  filesCmd  `cmd:"" help:"List an action's files."`
}

type actionListCmd struct {
	Hospital   string   `placeholder:"CODE" help:"Only of this hospital."`
	Department string   `placeholder:"CODE" help:"Only of this department; needs --hospital."`
	Status     []string `placeholder:"STATUS" help:"Only with one of these statuses."`
	Severity   string   `placeholder:"SEVERITY" help:"Only of this severity."`
	Assignee   string   `placeholder:"USER" help:"Only of this user, by code."`
	Overdue    bool     `help:"Only overdue ones."`
	Limit      int      `default:"50" help:"At most this many; at most 200."`
	JSON       bool     `help:"One JSON object per action."`
}

// Run lists.
func (c actionListCmd) Run(ctx context.Context, s *Settings) error {
	if err := c.check(); err != nil {
		return err
	}
	return withStore(ctx, s, func(st *store.Store) error {
		filter, err := c.filter(ctx, st)
		if err != nil {
			return err
		}
		page, err := st.Actions(ctx, filter)
		if err != nil {
			return err
		}
		if c.JSON {
			return listJSON(page)
		}
		rows := make([][]any, len(page.Actions))
		for i, a := range page.Actions {
			rows[i] = []any{a.Ref, a.Status, a.Severity, userCode(page.Dir, a.AssignedTo), stamp(a.DueAt), mark(&a), nextOf(&a)}
		}
		return table("REF\tSTATUS\tSEVERITY\tOWNER\tDUE\tSTATE\tNEXT", rows)
	})
}

// check finds what is wrong with the flags without asking the database.
func (c actionListCmd) check() error {
	for _, s := range c.Status {
		if !model.Valid(model.Status(s), model.Statuses()) {
			return usagef("--status: %q is none; one of %v", s, model.Statuses())
		}
	}
	if c.Severity != "" && model.Severity(c.Severity).Rank() == 0 {
		return usagef("--severity: one of %v", model.Severities())
	}
	if c.Department != "" && c.Hospital == "" {
		return usagef("--department: needs --hospital")
	}
	return nil
}

func (c actionListCmd) filter(ctx context.Context, st *store.Store) (store.ActionFilter, error) {
	f := store.ActionFilter{Overdue: c.Overdue, Limit: c.Limit}
	if c.Severity != "" {
		f.Severities = []model.Severity{model.Severity(c.Severity)}
	}
	for _, s := range c.Status {
		f.Statuses = append(f.Statuses, model.Status(s))
	}
	dir, err := st.Directory(ctx)
	if err != nil {
		return f, err
	}
	if c.Hospital != "" {
		h, ok := dir.ResolveHospital("", c.Hospital)
		if !ok {
			return f, usagef("--hospital: no hospital has the code %q", c.Hospital)
		}
		f.Hospitals = []model.HospitalID{h.ID}
	}
	if c.Department != "" {
		d, ok := dir.ResolveDepartment("", f.Hospitals[0], c.Department)
		if !ok {
			return f, usagef("--department: no department of hospital %q has the code %q", c.Hospital, c.Department)
		}
		f.Department = d.ID
	}
	if c.Assignee != "" {
		if f.Assignee, err = userOf(dir, "--assignee", c.Assignee); err != nil {
			return f, err
		}
	}
	return f, nil
}

func listJSON(page store.ActionPage) error {
	enc := json.NewEncoder(os.Stdout)
	for i := range page.Actions {
		if err := enc.Encode(actionJSON(&page.Actions[i], page.Dir)); err != nil {
			return err
		}
	}
	return nil
}

// actionJSON is an action's facts, without the patient's words.
func actionJSON(a *model.Action, dir *sla.Directory) map[string]any {
	out := map[string]any{
		"id": a.ID, "ref": a.Ref, "status": a.Status, "severity": a.Severity, "priority": a.Priority, "category": a.Category,
		"source_type": a.SourceType, "assigned_to": userCode(dir, a.AssignedTo), "received_at": a.ReceivedAt, "due_at": a.DueAt,
		"is_overdue": a.IsOverdue, "escalation_level": a.EscalationLevel, "period": a.Period, "version": a.Version,
	}
	if a.NextAt != nil {
		out["next"] = map[string]any{"kind": a.NextKind, "stage": *a.NextStage, "at": *a.NextAt}
	}
	if a.LegalHoldAt != nil {
		out["legal_hold_at"] = *a.LegalHoldAt
	}
	if a.ErasedAt != nil {
		out["erased_at"] = *a.ErasedAt
	}
	if a.ApprovalDueAt != nil {
		out["submitted_by"], out["approval_due_at"] = userCode(dir, a.SubmittedBy), *a.ApprovalDueAt
	}
	return out
}

// moveArgs is what every move takes.
type moveArgs struct {
	Ref string `arg:"" help:"The action's reference or id."`
	As  string `required:"" placeholder:"USER" help:"Who does it, by code."`
}

func (m moveArgs) make(ctx context.Context, s *Settings, req requestOf) (err error) {
	a, err := openCommand(ctx, s, "action")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	row, err := a.store.ActionByRef(ctx, m.Ref)
	if err != nil {
		return fmt.Errorf("action %s: %w", m.Ref, err)
	}
	dir, err := a.store.Directory(ctx)
	if err != nil {
		return err
	}
	r, err := req(dir, row)
	if err != nil {
		return err
	}
	actor, err := userOf(dir, "--as", m.As)
	if err != nil {
		return err
	}
	r.Actor = &actor
	after, err := a.engine.Move(ctx, row.ID, 0, r)
	if err != nil {
		return err
	}
	fmt.Printf("%s is %s; next: %s\n", after.Ref, after.Status, nextOf(after))
	return nil
}

// requestOf makes the request for a move of an action, with the codes of its
// flags looked up in the directory.
type requestOf func(*sla.Directory, *model.Action) (sla.MoveRequest, error)

func plain(r sla.MoveRequest) requestOf {
	return func(*sla.Directory, *model.Action) (sla.MoveRequest, error) { return r, nil }
}

type startCmd struct{ moveArgs }

// Run starts.
func (c startCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, plain(sla.MoveRequest{Move: model.MoveStart}))
}

// resultArgs is what a submission, or a closure without one, may have to say.
type resultArgs struct {
	Plan        string `placeholder:"TEXT" help:"What was planned."`
	Outcome     string `placeholder:"TEXT" help:"What came of it."`
	RootCause   string `placeholder:"CODE" help:"The code of the cause, such as staffing."`
	Informed    string `placeholder:"HOW" help:"How the complainant was told: phone, in_person, letter, email, message or other."`
	InformedAt  string `placeholder:"INSTANT" help:"When, as 2026-03-02T15:04 in the hospital's time zone or with its offset; needed with --informed."`
	InformedBy  string `placeholder:"USER" help:"Who told them, by code; left out: who makes the move."`
	NotInformed string `placeholder:"TEXT" help:"Why the complainant was not told."`
}

func (r resultArgs) request(m model.Move) requestOf {
	return func(dir *sla.Directory, a *model.Action) (req sla.MoveRequest, err error) {
		req = sla.MoveRequest{Move: m, ActionPlan: r.Plan, Outcome: r.Outcome, RootCause: r.RootCause}
		if r.Informed == "" && r.InformedAt == "" && r.InformedBy == "" && r.NotInformed == "" {
			return req, nil
		}
		req.Informed = &sla.Informed{How: model.InformedHow(r.Informed), WhyNot: r.NotInformed}
		if r.InformedAt != "" {
			if req.Informed.At, err = instantIn(dir, a.HospitalID, "--informed-at", r.InformedAt); err != nil {
				return req, err
			}
		}
		if r.InformedBy != "" {
			req.Informed.By, err = userOf(dir, "--informed-by", r.InformedBy)
		}
		return req, err
	}
}

type submitCmd struct {
	moveArgs
	resultArgs
}

// Run submits.
func (c submitCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, c.request(model.MoveSubmit))
}

type approveCmd struct{ moveArgs }

// Run approves.
func (c approveCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, plain(sla.MoveRequest{Move: model.MoveApprove}))
}

type rejectCmd struct {
	moveArgs
	Reason string `required:"" placeholder:"TEXT" help:"Why."`
}

// Run rejects.
func (c rejectCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, plain(sla.MoveRequest{Move: model.MoveReject, Reason: c.Reason}))
}

type closeCmd struct {
	moveArgs
	resultArgs
}

// Run closes.
func (c closeCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, c.request(model.MoveClose))
}

type cancelCmd struct {
	moveArgs
	Reason string `required:"" placeholder:"TEXT" help:"Why."`
}

// Run cancels.
func (c cancelCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, plain(sla.MoveRequest{Move: model.MoveCancel, Reason: c.Reason}))
}

type assignCmd struct {
	moveArgs
	To string `required:"" placeholder:"USER" help:"The new owner, by code."`
}

// Run assigns.
func (c assignCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, func(dir *sla.Directory, _ *model.Action) (sla.MoveRequest, error) {
		to, err := userOf(dir, "--to", c.To)
		return sla.MoveRequest{Move: model.MoveAssign, Assignee: to}, err
	})
}

type noteCmd struct {
	moveArgs
	Text string `arg:"" help:"The words of the note."`
}

// Run notes.
func (c noteCmd) Run(ctx context.Context, s *Settings) error {
	return c.make(ctx, s, plain(sla.MoveRequest{Move: model.MoveNote, Text: c.Text}))
}

func userOf(dir *sla.Directory, flag, code string) (model.UserID, error) {
	u, ok := dir.ResolveUser("", code)
	if !ok {
		return model.UserID{}, usagef("%s: nobody has the code %q", flag, code)
	}
	return u.ID, nil
}

func userCode(dir *sla.Directory, id *model.UserID) string {
	if id == nil {
		return "-"
	}
	if u := dir.Users[*id]; u != nil {
		return u.Code
	}
	return id.String()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// mark is what stands out about an action.
func mark(a *model.Action) string {
	var marks []string
	if a.IsOverdue {
		marks = append(marks, "overdue")
	} else if a.Period > 1 {
		marks = append(marks, "was overdue")
	}
	if a.EscalationLevel > 0 {
		marks = append(marks, fmt.Sprintf("escalated %d", a.EscalationLevel))
	}
	if len(marks) == 0 {
		return "-"
	}
	return strings.Join(marks, ", ")
}

func nextOf(a *model.Action) string {
	if a.NextAt == nil {
		return "nothing"
	}
	if a.NextKind == model.EventOverdue {
		return "overdue at " + stamp(*a.NextAt)
	}
	return fmt.Sprintf("%s %d at %s", a.NextKind, *a.NextStage, stamp(*a.NextAt))
}
