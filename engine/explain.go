package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// Explanation tells of one action why it is there, why it is whose it is, why it
// is due when it is, what has happened and what comes next. It rests on recorded
// facts and on the policy revision that the action was made under, so it stays
// the same when the policy changes. A patient's words are not in it. Instants
// are UTC; Text writes them in the hospital's zone.
type Explanation struct {
	Ref        string         `json:"ref"`
	ID         model.ActionID `json:"id"`
	At         time.Time      `json:"explained_at"`
	Hospital   Named          `json:"hospital"`
	Zone       string         `json:"zone"` // the hospital's
	Department *Named         `json:"department,omitempty"`
	Status     model.Status   `json:"status"`
	Overdue    bool           `json:"overdue"`
	Severity   model.Severity `json:"severity"`
	Owner      *Named         `json:"owner,omitempty"`  // nil: nobody
	Shadow     bool           `json:"shadow,omitempty"` // nobody is told anything
	Restricted bool           `json:"restricted,omitempty"`
	Readers    []model.Role   `json:"restricted_to,omitempty"` // who may have to do with it, where it is restricted

	Policy   PolicyReason     `json:"policy"`
	Feedback *FeedbackReason  `json:"feedback,omitempty"` // that it was made of; nil: none
	Merged   []MergedFeedback `json:"merged,omitempty"`   // what came in later and was merged into it
	Linked   []string         `json:"linked,omitempty"`   // refs of actions that tell of the same matter
	Routing  RoutingReason    `json:"routing"`
	Assigned OwnerReason      `json:"first_owner"`
	SLA      ConfigReason     `json:"sla"`
	Due      DueReason        `json:"due"`
	Changed  []Changed        `json:"changed_since,omitempty"` // what is otherwise now than when it was made
	Happened []Happening      `json:"happened"`
	Messages map[string]int   `json:"messages,omitempty"` // how many are in which state
	Next     []Coming         `json:"next"`               // as if nobody did anything meanwhile
	Idle     string           `json:"nothing_next,omitempty"`
}

// Named is a person, a place or a survey, by code and name.
type Named struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

// PolicyReason is the policy revision by which something was decided.
type PolicyReason struct {
	Revision  int64      `json:"revision"` // 0: the built-in policy
	AppliedAt *time.Time `json:"applied_at,omitempty"`
	AppliedBy string     `json:"applied_by,omitempty"`
	Active    int64      `json:"active_revision"` // now
}

// FeedbackReason is what came in and why it was decided as it was.
type FeedbackReason struct {
	ID         model.FeedbackID   `json:"id"`
	System     string             `json:"source_system"`
	EventID    string             `json:"event_id"`
	Source     model.SourceType   `json:"source_type,omitempty"`
	Survey     *Named             `json:"survey,omitempty"`
	KPI        string             `json:"kpi,omitempty"`
	ReceivedAt time.Time          `json:"received_at"`
	Mode       model.Mode         `json:"mode,omitempty"`
	Decision   model.Decision     `json:"decision,omitempty"` // as recorded; empty: none yet
	Reason     string             `json:"reason,omitempty"`   // as recorded
	DecidedAt  *time.Time         `json:"decided_at,omitempty"`
	Would      *WouldBe           `json:"would_have_been,omitempty"` // of history only
	Revision   int                `json:"revision,omitempty"`        // how often its source has revised it: it is judged as it reads now
	RevisedAt  *time.Time         `json:"revised_at,omitempty"`
	Retracted  *time.Time         `json:"retracted_at,omitempty"`
	RetractWhy string             `json:"retract_reason,omitempty"`
	Trigger    sla.TriggerFinding `json:"trigger"`
	// Differs: judged again, it comes out otherwise than recorded, because the
	// directory has changed since. What is recorded counts.
	Differs bool `json:"differs_from_record,omitempty"`
}

// WouldBe is the decision that history would have had.
type WouldBe struct {
	Decision model.Decision `json:"decision"`
	Reason   string         `json:"reason"`
	Severity model.Severity `json:"severity,omitempty"`
}

// MergedFeedback is a feedback that joined an action.
type MergedFeedback struct {
	ID        model.FeedbackID `json:"id"`
	System    string           `json:"source_system"`
	EventID   string           `json:"event_id"`
	Received  time.Time        `json:"received_at"`
	DecidedAt *time.Time       `json:"decided_at,omitempty"`
	Reason    string           `json:"reason,omitempty"`
}

// RoutingReason is how the routing rules were tried on the action as it was
// made.
type RoutingReason struct {
	sla.RoutingFinding
	Hospital   Named      `json:"hospital"`
	Department *Named     `json:"department,omitempty"`         // before routing
	Fit        string     `json:"fit,omitempty"`                // the rule that fitted; empty: none
	Role       model.Role `json:"assigns_role,omitempty"`       // by that rule, as the next two
	User       *Named     `json:"assigns_user,omitempty"`       //
	Into       *Named     `json:"assigns_department,omitempty"` //
	Differs    bool       `json:"differs_from_record,omitempty"`
	Recorded   string     `json:"recorded_rule,omitempty"` // as recorded
}

// OwnerReason is why the first owner became it, as recorded then.
type OwnerReason struct {
	Owner    *Named     `json:"owner,omitempty"` // nil: nobody could take it
	By       string     `json:"by"`              // sla.ByUser, …
	Role     model.Role `json:"role,omitempty"`  // that led to them
	For      *Named     `json:"stands_in_for,omitempty"`
	Passed   string     `json:"passed_over,omitempty"`       // sla.AtDepartment: its holders had as much as the policy lets one have
	StandsIn bool       `json:"stands_in,omitempty"`         // for one of several who hold the role, none of them there
	At       string     `json:"chosen_from,omitempty"`       // sla.AtDepartment, …; empty: not recorded, or no choice
	Of       int        `json:"chosen_of,omitempty"`         // how many there could take it
	Tied     int        `json:"chosen_tied,omitempty"`       // how many of those had as few open actions, the owner included
	Live     *int       `json:"open_actions_then,omitempty"` // of the owner, before this one; nil: not recorded
}

// ConfigReason is which SLA configs could count when the action was made.
type ConfigReason struct {
	Department *Named                `json:"department,omitempty"` // after routing
	Candidates []sla.ConfigCandidate `json:"candidates"`
	Recorded   string                `json:"recorded"`
}

// DueReason is how the due follows: the target counted again, and what was
// recorded when the action was made.
type DueReason struct {
	sla.ClockFinding
	FirstDue *time.Time `json:"first_due_at,omitempty"` // when it was made
	Reopened bool       `json:"reopened,omitempty"`     // the clock started anew
	Received time.Time  `json:"received_at"`
	WentOnAt *time.Time `json:"went_on_at,omitempty"` // the last reopening, if what was left counts from it
	SetBy    *Named     `json:"set_by,omitempty"`     // of a manual due, as the next two
	SetAt    *time.Time `json:"set_at,omitempty"`
	SetMove  string     `json:"set_by_move,omitempty"` // due; reject or reopen, where these left the least that they leave
}

// Changed is something that is otherwise now than when the action was made.
type Changed struct {
	What string `json:"what"` // owner, department, severity, sla_config, due_at
	Was  string `json:"was"`
	Now  string `json:"now"`
}

// Happening is one line of an action's story.
type Happening struct {
	At     time.Time         `json:"at"`
	Type   model.LogType     `json:"type"`
	By     *Named            `json:"by,omitempty"`     // nil: the program
	What   string            `json:"what"`             // as recorded: people by code, times in UTC
	People map[string]string `json:"people,omitempty"` // names of those it names by code
}

// Coming is one event of the plan.
type Coming struct {
	Kind   model.EventKind `json:"kind"`
	Stage  int             `json:"stage,omitempty"`
	At     time.Time       `json:"at"`
	Tells  []Named         `json:"tells,omitempty"` // as people are now
	Copies []Named         `json:"copies,omitempty"`
}

// Explain explains an action, by its ref in any case or by its id;
// model.ErrNotFound when there is none. It reads only. Whether a reader may see
// a restricted one is the caller's to decide.
func Explain(ctx context.Context, s *store.Store, ref string) (*Explanation, error) {
	a, err := s.ActionByRef(ctx, ref)
	if err != nil {
		return nil, err
	}
	g, err := s.Grounds(ctx, a.ID)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	return explain(&g), nil
}

// FeedbackExplanation tells of one feedback what was decided and why, whatever
// became of it.
type FeedbackExplanation struct {
	At       time.Time      `json:"explained_at"`
	Hospital *Named         `json:"hospital,omitempty"` // nil: not known
	Zone     string         `json:"zone"`
	Policy   *PolicyReason  `json:"policy,omitempty"` // nil: no policy was asked
	Feedback FeedbackReason `json:"feedback"`
	Action   string         `json:"action,omitempty"` // ref of the one made of it, or that it was merged into
	Status   model.Status   `json:"action_status,omitempty"`
}

// ExplainFeedback explains a feedback; model.ErrNotFound when there is none. It
// reads only.
func ExplainFeedback(ctx context.Context, s *store.Store, id model.FeedbackID) (*FeedbackExplanation, error) {
	g, err := s.FeedbackGrounds(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("explain: %w", err)
	}
	x := &explainer{dir: g.Dir}
	e := &FeedbackExplanation{
		At: g.Now.Domain.UTC().Truncate(time.Second), Zone: time.UTC.String(),
		Feedback: x.feedback(&g.Feedback, g.Decided.Rules, "", facts(g.Made)),
	}
	if g.Feedback.PolicyRevision != nil {
		policy := policyReason(g.Decided, g.Active)
		e.Policy = &policy
	}
	if h := g.Dir.Hospitals[model.Deref(g.Feedback.HospitalID)]; h != nil {
		e.Hospital, e.Zone = &Named{h.Code, h.Name}, h.Zone
	}
	if g.Action != nil {
		e.Action, e.Status = g.Action.Ref, g.Action.Status
	}
	return e, nil
}
