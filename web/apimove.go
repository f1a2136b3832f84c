package web

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// moveBody is what a move is asked for with.
type moveBody interface {
	// request is the move, with people and places looked up by code.
	request(c *call, a *model.Action, faults *model.FieldErrors) sla.MoveRequest
}

type (
	// freeMove may say why.
	freeMove struct {
		Reason string `json:"reason,omitempty" maxLength:"20000" doc:"Words for the log."`
	}
	// reasonedMove must say why.
	reasonedMove struct {
		Reason string `json:"reason" maxLength:"20000" doc:"Why: words for the log."`
	}
	// resultMove ends the work.
	resultMove struct {
		ActionPlan string    `json:"action_plan,omitempty" maxLength:"20000" doc:"What was planned to be done. Absent: as it is."`
		Outcome    string    `json:"outcome,omitempty" maxLength:"20000" doc:"What came of it. Absent: as it is."`
		RootCause  string    `json:"root_cause,omitempty" maxLength:"60" doc:"The code of the cause. Absent: as it is."`
		Informed   *informed `json:"complainant_informed,omitempty" doc:"Whether the complainant was told. Absent: as it is."`
		Reason     string    `json:"reason,omitempty" maxLength:"20000" doc:"Words for the log."`
	}
	// informed says that the complainant was told of the outcome, or why not.
	informed struct {
		At     *time.Time        `json:"at,omitempty" doc:"When, RFC 3339 with offset; not in the future."`
		How    model.InformedHow `json:"how,omitempty" enum:"phone,in_person,letter,email,message,other"`
		By     string            `json:"by,omitempty" maxLength:"200" doc:"Who told them, by code. Absent: who makes the move."`
		WhyNot string            `json:"why_not,omitempty" maxLength:"20000" doc:"Why they were not told; nothing else then."`
	}
	assignMove struct {
		Assignee string `json:"assignee" maxLength:"200" doc:"The new owner, by code."`
		Reason   string `json:"reason,omitempty" maxLength:"20000" doc:"Words for the log."`
	}
	severityMove struct {
		Severity model.Severity `json:"severity" enum:"low,medium,high,critical"`
		Reason   string         `json:"reason,omitempty" maxLength:"20000" doc:"Words for the log."`
	}
	departmentMove struct {
		Department string `json:"department" maxLength:"200" doc:"The new department, by its code in the action's hospital."`
		Reason     string `json:"reason,omitempty" maxLength:"20000" doc:"Words for the log."`
	}
	dueMove struct {
		DueAt  *time.Time `json:"due_at" nullable:"false" doc:"The new deadline, RFC 3339 with offset."`
		Reason string     `json:"reason" maxLength:"20000" doc:"Why: words for the log."`
	}
	holdMove struct {
		Until  *time.Time `json:"until,omitempty" doc:"When it ends by itself, RFC 3339 with offset. Absent: as late as the SLA config allows."`
		Reason string     `json:"reason" maxLength:"20000" doc:"Why: words for the log."`
	}
	noteMove struct {
		Text string `json:"text" maxLength:"20000" doc:"The words of the note."`
	}
)

// bodyOf is an empty body of a move.
func bodyOf(m model.Move) moveBody {
	switch m {
	case model.MoveSubmit, model.MoveClose:
		return &resultMove{}
	case model.MoveAssign:
		return &assignMove{}
	case model.MoveSeverity:
		return &severityMove{}
	case model.MoveDepartment:
		return &departmentMove{}
	case model.MoveDue:
		return &dueMove{}
	case model.MoveHold:
		return &holdMove{}
	case model.MoveNote:
		return &noteMove{}
	case model.MoveReject, model.MoveCancel, model.MoveReopen, model.MoveEscalate:
		return &reasonedMove{}
	default:
		return &freeMove{}
	}
}

func (b *freeMove) request(*call, *model.Action, *model.FieldErrors) sla.MoveRequest {
	return sla.MoveRequest{Reason: b.Reason}
}

func (b *reasonedMove) request(*call, *model.Action, *model.FieldErrors) sla.MoveRequest {
	return sla.MoveRequest{Reason: b.Reason}
}

func (b *resultMove) request(c *call, _ *model.Action, faults *model.FieldErrors) sla.MoveRequest {
	m := sla.MoveRequest{ActionPlan: b.ActionPlan, Outcome: b.Outcome, RootCause: b.RootCause, Reason: b.Reason}
	if i := b.Informed; i != nil {
		m.Informed = &sla.Informed{At: instant(i.At), How: i.How, WhyNot: i.WhyNot}
		if i.By != "" {
			m.Informed.By = c.person("complainant_informed.by", i.By, faults)
		}
	}
	return m
}

func (b *assignMove) request(c *call, _ *model.Action, faults *model.FieldErrors) sla.MoveRequest {
	m := sla.MoveRequest{Reason: b.Reason}
	if b.Assignee != "" {
		m.Assignee = c.person("assignee", b.Assignee, faults)
	}
	return m
}

func (b *severityMove) request(*call, *model.Action, *model.FieldErrors) sla.MoveRequest {
	return sla.MoveRequest{Severity: b.Severity, Reason: b.Reason}
}

func (b *departmentMove) request(c *call, a *model.Action, faults *model.FieldErrors) sla.MoveRequest {
	m := sla.MoveRequest{Reason: b.Reason}
	if b.Department == "" {
		return m
	}
	d, ok := c.Dir.ResolveDepartment("", a.HospitalID, b.Department)
	if !ok {
		faults.Add("department", "unknown", "the code of a department of the action's hospital")
		return m
	}
	m.Department = d.ID
	return m
}

func (b *dueMove) request(*call, *model.Action, *model.FieldErrors) sla.MoveRequest {
	return sla.MoveRequest{DueAt: instant(b.DueAt), Reason: b.Reason}
}

func (b *holdMove) request(*call, *model.Action, *model.FieldErrors) sla.MoveRequest {
	return sla.MoveRequest{Until: instant(b.Until), Reason: b.Reason}
}

func (b *noteMove) request(*call, *model.Action, *model.FieldErrors) sla.MoveRequest {
	return sla.MoveRequest{Text: b.Text}
}

// person looks a user up by code.
func (c *call) person(field, code string, faults *model.FieldErrors) model.UserID {
	u, ok := c.Dir.ResolveUser("", code)
	if !ok {
		faults.Add(field, "unknown", "the code of a user of the directory")
		return model.UserID{}
	}
	return u.ID
}

func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// move makes a move on an action and answers with the action as it is then.
func (a *api) move(c *call, m model.Move) error {
	row, err := c.action(a)
	if errors.Is(err, model.ErrNotFound) {
		return a.again(c, m, err)
	}
	if err != nil {
		return err
	}
	version, err := ifMatch(c.r.Header.Values("If-Match"), row.Version)
	if err != nil {
		return err
	}
	once, err := onceKey(c.r)
	if err != nil {
		return err
	}
	body := bodyOf(m)
	if _, err := c.readBody(body); err != nil {
		return err
	}
	var faults model.FieldErrors
	req := body.request(c, row, &faults)
	if err := faults.Err(); err != nil {
		return err
	}
	req.Move, req.Actor, req.Origin = m, c.Person(), c.origin()
	ask := store.Move{ActionID: row.ID, Version: version, Request: req}
	if once != "" {
		ask.Once = store.Once{Scope: c.Scope(), Key: once, Hash: requestHash(m, row.ID, body)}
	}
	moved, err := a.engine.MoveOnce(c.r.Context(), ask)
	if err != nil {
		return moveError(err, &moved.Action)
	}
	if moved.Replayed {
		c.w.Header().Set("Idempotency-Replayed", "true")
	}
	if !c.Access.May(model.RightView, &moved.Action) {
		c.w.WriteHeader(http.StatusNoContent) // they have given it away
		return nil
	}
	c.w.Header().Set("ETag", etag(&moved.Action))
	problem.JSON(c.w, http.StatusOK, actionOf(&moved.Action, c.Dir))
	return nil
}

// again answers the repeat of a move by which its maker has given the action
// away; everybody else does not see it, as unseen says.
func (a *api) again(c *call, m model.Move, unseen error) error {
	once, err := onceKey(c.r)
	if err != nil || once == "" {
		return unseen
	}
	row, err := a.engine.Store.ActionByRef(c.r.Context(), c.r.PathValue("id"))
	if err != nil {
		return err
	}
	body := bodyOf(m)
	if _, err := c.readBody(body); err != nil {
		return unseen
	}
	made, err := a.engine.Store.Granted(c.r.Context(), row.ID, store.Once{Scope: c.Scope(), Key: once, Hash: requestHash(m, row.ID, body)})
	if err != nil {
		return err
	}
	if !made {
		return unseen
	}
	c.w.Header().Set("Idempotency-Replayed", "true")
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (c *call) origin() model.Origin { return model.Origin{Key: &c.Key.ID, Request: c.request} }

// moveError adds to a refusal what the action was.
func moveError(err error, row *model.Action) error {
	var illegal *model.TransitionError
	switch {
	case errors.As(err, &illegal):
		return &illegalError{TransitionError: illegal, action: row}
	case errors.Is(err, model.ErrConflict):
		return &staleError{version: row.Version}
	default:
		return err
	}
}

func requestHash(m model.Move, id model.ActionID, body moveBody) []byte {
	b, err := json.Marshal(body)
	if err != nil { // of texts and instants: never
		return nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s", m, id, b))
	return sum[:]
}

func etag(a *model.Action) string { return `"` + strconv.FormatInt(a.Version, 10) + `"` }

// never is a version that no action has.
const never = -1

// ifMatch reads If-Match: the version that the action must have, 0 for any. Of
// several it is the present one where that is among them.
func ifMatch(values []string, present int64) (int64, error) {
	all := strings.TrimSpace(strings.Join(values, ","))
	if len(values) == 0 || all == "*" {
		return 0, nil
	}
	var wanted int64
	for part := range strings.SplitSeq(all, ",") {
		tag, weak := strings.CutPrefix(strings.TrimSpace(part), "W/")
		if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' || strings.Contains(tag[1:len(tag)-1], `"`) {
			return 0, &badRequest{
				status: http.StatusBadRequest, code: codeHeader, title: "If-Match cannot be read",
				detail: `* or the ETag of an answer, in its quotes: "3"`,
			}
		}
		version, err := strconv.ParseInt(tag[1:len(tag)-1], 10, 64)
		if weak || err != nil || version < 1 {
			version = never // an ETag of somebody else's: it never fits
		}
		if wanted == 0 || version == present {
			wanted = version
		}
	}
	return wanted, nil
}

// onceKey reads Idempotency-Key; empty: none.
func onceKey(r *http.Request) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	visible := strings.IndexFunc(key, func(c rune) bool { return c < '!' || c > '~' }) < 0
	if len(values) > 1 || key == "" || len(key) > 200 || !visible {
		return "", &badRequest{
			status: http.StatusBadRequest, code: codeHeader, title: "Idempotency-Key cannot be read", detail: "once, 1 to 200 visible ASCII characters",
		}
	}
	return key, nil
}
