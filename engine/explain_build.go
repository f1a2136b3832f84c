package engine

import (
	"cmp"
	"strings"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// explainer names people and places as the directory has them now.
type explainer struct{ dir *sla.Directory }

func explain(g *store.Grounds) *Explanation {
	a, x := &g.Action, &explainer{dir: g.Dir}
	e := &Explanation{
		Ref: a.Ref, ID: a.ID, At: g.Now.Domain.UTC().Truncate(time.Second), Hospital: x.hospital(a.HospitalID), Zone: time.UTC.String(),
		Department: x.department(a.DepartmentID), Status: a.Status, Overdue: a.IsOverdue, Severity: a.Severity, Owner: x.user(a.AssignedTo),
		Shadow: a.Shadow, Restricted: a.Restricted, Policy: policyReason(g.Made, g.Active), Messages: map[string]int{},
	}
	if h := g.Dir.Hospitals[a.HospitalID]; h != nil {
		e.Zone = cmp.Or(h.Zone, e.Zone)
	}
	if a.Restricted && g.Case.Config != nil {
		e.Readers = g.Case.Config.Readers
	}
	made := madeBy(g.Logs)
	severity := model.Severity(cmp.Or(made.text("severity"), string(a.Severity)))
	if g.First != nil {
		why := x.feedback(g.First, g.Made.Rules, severity, made)
		e.Feedback = &why
	}
	for i := range g.Feedback {
		if f := &g.Feedback[i]; f.Decision == model.DecisionMerged {
			e.Merged = append(e.Merged, MergedFeedback{f.ID, f.SourceSystem, f.EventID, f.ReceivedAt.UTC(), f.DecidedAt, f.Reason})
		}
	}
	for _, l := range g.Linked {
		e.Linked = append(e.Linked, l.Ref)
	}
	place := x.route(e, g, made, severity)
	e.SLA = ConfigReason{
		Department: x.department(place), Candidates: g.Made.Rules.ExplainConfigs(a.HospitalID, place), Recorded: made.text("sla_config"),
	}
	x.due(e, g, made)
	x.changes(e, g, made)
	for i := range g.Logs {
		e.Happened = append(e.Happened, x.happening(&g.Logs[i]))
	}
	for i := range g.Messages {
		e.Messages[string(g.Messages[i].State)]++
	}
	e.Next = []Coming{}
	for _, f := range sla.Foresee(g.Case, g.Now.Domain) {
		e.Next = append(e.Next, Coming{f.Kind, f.Stage, f.At.UTC(), x.users(f.Targets), x.users(f.Copies)})
	}
	if len(e.Next) == 0 {
		e.Idle = Idle(a)
	}
	return e
}

// Idle says why nothing comes next.
func Idle(a *model.Action) string {
	switch {
	case !a.Live():
		return "The action has ended."
	case a.Held():
		return "The action is on hold until somebody resumes it."
	case a.Status == model.StatusApproved:
		return "The action is approved and waits for its closure."
	case a.Status == model.StatusPendingApproval:
		return "The action waits for approval, and its clock stands still."
	default:
		return "Everything that was planned has happened. The action still waits for somebody to close it."
	}
}

func policyReason(r store.Revision, active int64) PolicyReason {
	p := PolicyReason{Revision: r.Rules.Revision, AppliedBy: r.AppliedBy, Active: active}
	if !r.AppliedAt.IsZero() {
		at := r.AppliedAt.UTC()
		p.AppliedAt = &at
	}
	return p
}

// facts are the recorded ones of a log row, as JSON gives them back.
type facts model.LogMetadata

func (f facts) text(key string) string {
	s, _ := f[key].(string)
	return s
}

// number is nil where the fact was not recorded.
func (f facts) number(key string) *int {
	n, ok := f[key].(float64)
	if !ok {
		return nil
	}
	whole := int(n)
	return &whole
}

func (f facts) count(key string) int {
	if n := f.number(key); n != nil {
		return *n
	}
	return 0
}

func (f facts) instant(key string) *time.Time {
	at, err := time.Parse(time.RFC3339, f.text(key))
	if err != nil {
		return nil
	}
	return &at
}

// madeBy are the facts recorded when an action was made.
func madeBy(logs []model.ActionLog) facts {
	for i := range logs {
		if logs[i].LogType == model.LogCreated {
			return facts(logs[i].Metadata.V)
		}
	}
	return nil
}

// feedback judges a feedback again. severity is that of the action that was
// made of it (empty: none, or not known), and made are the facts recorded then:
// what its words raised is read from these, for the words may be gone.
func (x *explainer) feedback(f *model.Feedback, rules *sla.Rules, severity model.Severity, made facts) FeedbackReason {
	r := FeedbackReason{
		ID: f.ID, System: f.SourceSystem, EventID: f.EventID, Source: f.SourceType, KPI: f.KPIName, ReceivedAt: f.ReceivedAt.UTC(), Mode: f.Mode,
		Decision: f.Decision, Reason: f.Reason, DecidedAt: f.DecidedAt,
		Revision: f.Revision, RevisedAt: f.RevisedAt, Retracted: f.RetractedAt, RetractWhy: string(f.RetractReason),
	}
	if f.Decision == model.DecisionCreated {
		r.Trigger = rules.ExplainRecordedTrigger(f, sla.RaiseOf(model.LogMetadata(made)))
	} else {
		r.Trigger = rules.ExplainTrigger(f)
	}
	if f.SurveyID != nil {
		if s := x.dir.Surveys[*f.SurveyID]; s != nil {
			r.Survey = &Named{s.Code, s.Name}
		}
	}
	decision, reason := f.Decision, f.Reason
	if f.WouldDecision != "" {
		r.Would = &WouldBe{f.WouldDecision, f.WouldReason, f.WouldSeverity}
		decision, reason, severity = f.WouldDecision, f.WouldReason, f.WouldSeverity
	}
	if f.Reason == sla.ReasonRetracted || f.Revision > 0 && f.ActionID != nil {
		return r // what was recorded is not of what it says now
	}
	switch decision {
	case model.DecisionCreated:
		r.Differs = r.Trigger.Decision != decision || r.Trigger.Reason != reason || severity != "" && r.Trigger.Severity != severity
	case model.DecisionIgnored:
		r.Differs = r.Trigger.Decision != decision || r.Trigger.Reason != reason
	default: // merged: its reason is not the trigger's; quarantined: by the intake, mostly
	}
	return r
}

// route tries the routing rules again and returns the department that the
// action went to.
func (x *explainer) route(e *Explanation, g *store.Grounds, made facts, severity model.Severity) *model.DepartmentID {
	a := &g.Action
	e.Routing.Hospital, e.Routing.Recorded = e.Hospital, made.text("routing_rule")
	o := OwnerReason{By: made.text("owner_by"), At: made.text("owner_at"), Live: made.number("owner_live"), Owner: x.coded(made.text("owner"))}
	o.For, o.StandsIn = x.coded(made.text("owner_for")), made["owner_stands_in"] == true
	o.Passed = made.text("owner_passed_over")
	o.Of, o.Tied = made.count("owner_of"), made.count("owner_tied")
	if o.Owner == nil {
		o.Owner = x.coded(firstOwner(g.Logs))
	}
	place := a.DepartmentID
	if g.First != nil {
		found := g.Made.Rules.ExplainRouting(g.First, severity)
		place = found.Department
		e.Routing.RoutingFinding, e.Routing.Department = found, x.department(g.First.DepartmentID)
		if fit := found.Fit(); fit != nil {
			e.Routing.Fit = fit.Name
			e.Routing.Role, e.Routing.User, e.Routing.Into = fit.Rule.AssignToRole, x.user(fit.Rule.AssignToUser), x.department(fit.Rule.AssignToDepartment)
			e.Routing.Differs = !strings.HasSuffix(e.Routing.Recorded, "("+fit.Rule.ID.String()+")")
		} else {
			e.Routing.Differs = e.Routing.Recorded != ""
		}
	}
	switch o.By {
	case sla.ByRole:
		o.Role = e.Routing.Role
	case sla.ByPXAdmin, sla.ByGlobalAdmin:
		o.Role = model.RolePXAdmin
	case sla.ByExecutive:
		o.Role = model.RoleExecutive
	}
	e.Assigned = o
	return place
}

// firstOwner is the code of who was first assigned; "" for nobody.
func firstOwner(logs []model.ActionLog) string {
	for i := range logs {
		if f := facts(logs[i].Metadata.V); logs[i].LogType == model.LogAssignment && f.text("assigned_from") == "" {
			return f.text("assigned_to")
		}
	}
	return ""
}

func (x *explainer) due(e *Explanation, g *store.Grounds, made facts) {
	zone, err := time.LoadLocation(e.Zone)
	if err != nil {
		zone = time.UTC
	}
	a := &g.Action
	e.Due = DueReason{
		ClockFinding: sla.ExplainClock(g.Case, zone), FirstDue: made.instant("due_at"), Received: a.ReceivedAt.UTC(),
		Reopened: !a.ClockStart.Equal(a.ReceivedAt),
	}
	if start := made.instant("clock_start"); start != nil && a.ClockStart.Equal(*start) {
		e.Due.Reopened = false // it started elsewhere than at the receipt from the beginning
	}
	for i := range g.Logs {
		l := &g.Logs[i]
		if l.LogType != model.LogPlanChange {
			continue
		}
		f, at := facts(l.Metadata.V), l.CreatedAt.UTC()
		if f.text("reopen") != "" {
			e.Due.WentOnAt = nil
		}
		if f.text("reopen") == string(sla.ReopenRemaining) {
			e.Due.WentOnAt = &at
		}
		// Other moves put a manual due off, and do not set it.
		if a.DueManual && (f.text("move") == string(model.MoveDue) || f["floor"] == true) {
			e.Due.SetBy, e.Due.SetAt, e.Due.SetMove = x.user(l.CreatedBy), &at, f.text("move")
		}
	}
}

// changes lists what is otherwise now than when the action was made.
func (x *explainer) changes(e *Explanation, g *store.Grounds, made facts) {
	add := func(what, was, now string) {
		if was != now && was+now != "" {
			e.Changed = append(e.Changed, Changed{what, was, now})
		}
	}
	name := func(n *Named) string {
		if n == nil {
			return ""
		}
		return n.Name
	}
	if e.Feedback != nil {
		add("department", name(e.SLA.Department), name(e.Department))
	}
	if was := made.text("severity"); was != "" {
		add("severity", was, string(e.Severity))
	}
	add("owner", name(e.Assigned.Owner), name(e.Owner))
	if was := e.SLA.Recorded; was != "" && g.Case.Config != nil {
		add("sla_config", was, g.Case.Config.Name)
	}
	if was := e.Due.FirstDue; was != nil {
		add("due_at", was.UTC().Format(time.RFC3339), e.Due.Due.Format(time.RFC3339))
	}
}

// happening is a log row with the names of those whom it names by code.
func (x *explainer) happening(l *model.ActionLog) Happening {
	h := Happening{At: l.CreatedAt.UTC(), Type: l.LogType, By: x.user(l.CreatedBy), What: l.Message}
	note := func(v any) {
		if code, ok := v.(string); ok {
			if n := x.coded(code); n != nil && n.Name != code {
				if h.People == nil {
					h.People = map[string]string{}
				}
				h.People[code] = n.Name
			}
		}
	}
	for _, key := range []string{"assigned_to", "assigned_from", "told", "targets"} {
		switch v := l.Metadata.V[key].(type) {
		case []any:
			for _, code := range v {
				note(code)
			}
		default:
			note(v)
		}
	}
	return h
}

func (x *explainer) hospital(id model.HospitalID) Named {
	if h := x.dir.Hospitals[id]; h != nil {
		return Named{h.Code, h.Name}
	}
	return Named{id.String(), id.String()}
}

func (x *explainer) department(id *model.DepartmentID) *Named {
	if id == nil {
		return nil
	}
	if d := x.dir.Departments[*id]; d != nil {
		return &Named{d.Code, d.Name}
	}
	return &Named{id.String(), id.String()}
}

func (x *explainer) user(id *model.UserID) *Named {
	if id == nil {
		return nil
	}
	if u := x.dir.Users[*id]; u != nil {
		return &Named{u.Code, u.Name}
	}
	return &Named{id.String(), id.String()}
}

func (x *explainer) users(ids []model.UserID) []Named {
	var ns []Named
	for i := range ids {
		ns = append(ns, *x.user(&ids[i]))
	}
	return ns
}

// coded is a person by the code that was recorded; nil for none.
func (x *explainer) coded(code string) *Named {
	if code == "" {
		return nil
	}
	if u, ok := x.dir.ResolveUser("", code); ok && u.Code == code {
		return &Named{u.Code, u.Name}
	}
	return &Named{code, code}
}
