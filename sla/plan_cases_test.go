package sla_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// planCase is one worked case of testdata/plan_cases.json; its conventions are
// written there.
type planCase struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Input struct {
		Severity   model.Severity `json:"severity"`
		ReceivedAt time.Time      `json:"received_at"`
		DecidedAt  time.Time      `json:"decided_at"`
		Until      time.Time      `json:"until"`
		Config     caseConfig     `json:"config"`
		People     cast           `json:"people"`
		Outage     struct{ From, To time.Time }
		Moves      []caseMove `json:"moves"`
	} `json:"input"`
	Expected struct {
		Events   []caseEvent    `json:"events"`
		Final    map[string]any `json:"final"`
		Messages []caseMessage  `json:"messages"`
	} `json:"expected"`
}

type caseConfig struct {
	Hours            map[model.Severity]float64   `json:"hours"`
	Reminders        []float64                    `json:"reminder_hours_before"`
	Gaps             map[model.Severity][]float64 `json:"gaps"`
	RequiresApproval *bool                        `json:"requires_approval"`
}

type caseMove struct {
	At time.Time  `json:"at"`
	Do model.Move `json:"do"`
	To string     `json:"to"`
}

type caseEvent struct {
	Period     int             `json:"period"`
	Kind       model.EventKind `json:"kind"`
	Stage      int             `json:"stage"`
	Planned    time.Time       `json:"planned"`
	Fired      time.Time       `json:"fired"`
	LateS      int64           `json:"late_s"`
	Told       []string        `json:"told"`
	Suppressed string          `json:"suppressed,omitempty"`
}

type caseMessage struct {
	At     time.Time      `json:"at"`
	Reason model.Reason   `json:"reason"`
	To     string         `json:"to"`
	Also   []model.Reason `json:"also"`
}

func TestPlanCases(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/plan_cases.json")
	require.NoError(t, err)
	var doc struct{ Cases []planCase }
	require.NoError(t, json.Unmarshal(src, &doc))
	require.Len(t, doc.Cases, 21)
	for _, pc := range doc.Cases {
		t.Run(pc.ID+" "+pc.Title, func(t *testing.T) {
			t.Parallel()
			s := pc.run(t)
			require.Equal(t, pc.Expected.Events, s.caseEvents())
			require.Equal(t, pc.Expected.Final, s.final())
			if pc.Expected.Messages != nil {
				require.Equal(t, pc.Expected.Messages, s.caseMessages())
			}
		})
	}
}

// run steps from instant to instant: moves first, then firings, none of those
// within the outage.
func (pc *planCase) run(t *testing.T) *scene {
	in := pc.Input
	now := in.DecidedAt
	if now.IsZero() {
		now = in.ReceivedAt
	}
	s := openScene(t, newAction(in.Severity, in.ReceivedAt, in.People), in.Config.build(), house(in.People), now)
	moves := in.Moves
	for {
		fireAt, ok := pc.nextFiring(s, now)
		switch {
		case len(moves) > 0 && (!ok || !moves[0].At.After(fireAt)):
			now = moves[0].At
			s.move(now, moves[0].request(t))
			moves = moves[1:]
		case ok && (in.Until.IsZero() || !fireAt.After(in.Until)):
			now = fireAt
			s.fire(now)
		default:
			return s
		}
	}
}

// nextFiring is when the armed job runs: on time, but not before now and not in
// the outage. Approvals' events are left out of these cases.
func (pc *planCase) nextFiring(s *scene, now time.Time) (time.Time, bool) {
	a := s.c.Action
	if a.NextAt == nil || a.Status == model.StatusPendingApproval {
		return time.Time{}, false
	}
	fireAt := *a.NextAt
	if fireAt.Before(now) {
		fireAt = now
	}
	if out := pc.Input.Outage; !fireAt.Before(out.From) && fireAt.Before(out.To) {
		fireAt = out.To
	}
	return fireAt, true
}

func (c caseConfig) build() *sla.Config {
	hours := func(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }
	cfg := builtIn()
	for sev, h := range c.Hours {
		cfg.Target[sev] = hours(h)
	}
	if c.Reminders != nil {
		var before []time.Duration
		for _, h := range c.Reminders {
			before = append(before, hours(h))
		}
		cfg.Reminders = reminders(before...)
	}
	for sev, gaps := range c.Gaps {
		cfg.Stages[sev] = nil
		for _, h := range gaps {
			cfg.Stages[sev] = append(cfg.Stages[sev], sla.Stage{Gap: hours(h)})
		}
	}
	if c.RequiresApproval != nil {
		cfg.RequiresApproval = func(model.SourceType, model.Severity) bool { return *c.RequiresApproval }
	}
	return cfg
}

func (m caseMove) request(t *testing.T) sla.MoveRequest {
	t.Helper()
	req := sla.MoveRequest{Move: m.Do, Reason: "because"}
	switch m.Do {
	case model.MoveSeverity:
		req.Severity = model.Severity(m.To)
	case model.MoveDue:
		due, err := time.Parse(time.RFC3339, m.To)
		require.NoError(t, err)
		req.DueAt = due
	case model.MoveStart, model.MoveClose, model.MoveCancel:
	default:
		require.Fail(t, "no such move in these cases", m.Do)
	}
	return req
}

func (s *scene) caseEvents() []caseEvent {
	es := []caseEvent{}
	for _, e := range s.c.Events {
		ce := caseEvent{
			Period: e.Period, Kind: e.Kind, Stage: e.Stage, Planned: e.Planned, Fired: e.Fired, LateS: e.LateS,
			Told: codesOf(s.c.Dir, e.Told.V),
		}
		if e.Done == model.DoneSilent || e.Done == model.DoneSuperseded {
			ce.Suppressed = string(e.Done)
		}
		es = append(es, ce)
	}
	return es
}

func (s *scene) caseMessages() []caseMessage {
	var ms []caseMessage
	for _, m := range s.messages {
		if m.State == model.MessagePending {
			ms = append(ms, caseMessage{At: m.CreatedAt, Reason: m.Reason, To: codeOf(s.c.Dir, m.RecipientID), Also: m.Also.V})
		}
	}
	return slices.Clip(ms)
}

func (s *scene) final() map[string]any {
	a := s.c.Action
	final := map[string]any{
		"status": string(a.Status), "severity": string(a.Severity), "held": a.Held(),
		"due_at": a.DueAt.Format(time.RFC3339), "original_due_at": a.OriginalDueAt.Format(time.RFC3339),
		"is_overdue": a.IsOverdue, "escalation_level": float64(a.EscalationLevel), "period": float64(a.Period),
		"next_at": nil, "next_kind": nil, "next_stage": nil,
	}
	if a.NextAt != nil && a.Status != model.StatusPendingApproval {
		final["next_at"], final["next_kind"], final["next_stage"] = a.NextAt.Format(time.RFC3339), string(a.NextKind), float64(*a.NextStage)
	}
	return final
}
