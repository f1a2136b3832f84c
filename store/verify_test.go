package store_test

import (
	"testing"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// lived is a world in which everything has happened once: an action that was
// escalated, one that was closed, and what the sources sent.
func lived(t *testing.T) (*scenario.World, model.Action) {
	t.Helper()
	w := scenario.New(t, scenario.NoAck())
	as := w.Create(w.Complaints(2, model.SeverityCritical)...)
	closed := as[1]
	admin := w.User("ruh-amal").ID
	for _, m := range []sla.MoveRequest{
		{Move: model.MoveStart, Actor: closed.AssignedTo},
		{Move: model.MoveNote, Actor: closed.AssignedTo, Text: "called"},
		scenario.Submission(model.MoveSubmit, closed.AssignedTo),
		{Move: model.MoveApprove, Actor: &admin},
		{Move: model.MoveClose, Actor: &admin},
	} {
		w.Move(closed.ID, m)
	}
	w.FireNext(as[0].ID, 4) // reminder, overdue, two stages
	praise := w.Complaint(model.SeverityLow)
	praise.Kind = model.KindPraise
	if _, _, err := w.Store.Create(t.Context(), w.Insert(praise)); err != nil {
		t.Fatal(err)
	}
	return w, w.Action(as[0].ID)
}

// breach is one way to break the data, and the finding that must tell of it.
type breach struct {
	invariant, what string
	sql             []string // ?0 is the escalated action's id
}

func breaches() []breach {
	const longAgo = "clock_timestamp() - interval '2 minutes'"
	return []breach{
		{"I1", "feedback undecided for too long", []string{
			`UPDATE feedback SET decision = NULL, decided_at = NULL, reason = '', heal_after = ` + longAgo + ` WHERE decision = 'ignored'`}},
		{"I1", "feedback accepted twice", []string{
			`ALTER TABLE feedback DROP CONSTRAINT feedback_event_key`,
			`UPDATE feedback SET source_system = 'test', event_id = 'twice'`}},
		{"I1", "feedback decided twice: two actions are made of it", []string{
			`ALTER TABLE actions DROP CONSTRAINT actions_feedback_id_key`,
			`UPDATE actions SET feedback_id = (SELECT feedback_id FROM actions WHERE id = ?0)`}},
		{"I1", "feedback decided twice: it stands in two actions' stories", []string{
			`UPDATE action_logs SET log_type = 'merged', metadata = jsonb_build_object('feedback', (SELECT id FROM feedback WHERE decision = 'ignored'))
				WHERE action_id = ?0 AND seq = 2`}},
		{"I1", "feedback says created, but no action says so", []string{
			`UPDATE actions SET feedback_id = NULL WHERE id = ?0`}},
		{"I1", "action made of feedback that was not decided so", []string{
			`UPDATE actions SET feedback_id = (SELECT id FROM feedback WHERE decision = 'ignored') WHERE id = ?0`}},
		{"I1", "feedback says merged, but its action's story does not", []string{
			`UPDATE feedback SET decision = 'merged', action_id = ?0 WHERE decision = 'ignored'`}},
		{"I1", "earlier content of revised feedback is lost", []string{
			`UPDATE feedback SET revision = 1, revised_at = decided_at WHERE decision = 'ignored'`}},
		{"I1", "feedback retracted, but not decided, or its action's story does not say so", []string{
			`UPDATE feedback SET retracted_at = decided_at, retract_reason = 'other' WHERE action_id = ?0`}},
		{"I1", "decision without a reason", []string{
			`UPDATE feedback SET reason = '' WHERE decision = 'ignored'`}},
		{"I2", "next deadline event is late", []string{
			`UPDATE actions SET next_at = next_at - interval '1 day' WHERE id = ?0`}},
		{"I2", "job not armed for too long", []string{
			`UPDATE actions SET arm_after = ` + longAgo + ` WHERE id = ?0`}},
		{"I2", "armed gen ahead of the plan", []string{
			`UPDATE actions SET armed_gen = gen + 1 WHERE id = ?0`}},
		{"I2", "live action without a next event, though its plan has one", []string{
			`UPDATE actions SET next_at = NULL, next_kind = NULL, next_stage = NULL WHERE id = ?0`}},
		{"I2", "next event differs from the plan", []string{
			`UPDATE actions SET next_at = next_at + interval '1 hour' WHERE id = ?0`}},
		{"I2", "pinned policy or SLA config is missing", []string{
			`UPDATE actions SET policy_revision = 9 WHERE id = ?0`}},
		{"I3", "escalation without overdue before it", []string{
			`UPDATE messages SET event_id = NULL`,
			`DELETE FROM deadline_events WHERE action_id = ?0 AND kind = 'overdue'`}},
		{"I3", "escalation stage skipped or out of order", []string{
			`UPDATE messages SET event_id = NULL`,
			`DELETE FROM deadline_events WHERE action_id = ?0 AND kind = 'escalation' AND stage = 1`}},
		{"I3", "overdue mark differs from the events", []string{
			`UPDATE actions SET is_overdue = false WHERE id = ?0`}},
		{"I3", "escalation level differs from the events", []string{
			`UPDATE actions SET escalation_level = 1 WHERE id = ?0`}},
		{"I3", "escalation level differs from the events", []string{
			`UPDATE actions SET escalation_level = 3 WHERE id = ?0`}},
		{"I3", "event of a later gen taken before one of an earlier", []string{
			`UPDATE deadline_events SET gen = 100 WHERE action_id = ?0 AND kind = 'reminder'`}},
		{"I3", "one firing's events were not taken at one instant", []string{
			`UPDATE deadline_events SET gen = (SELECT min(gen) FROM deadline_events WHERE action_id = ?0) WHERE action_id = ?0`}},
		{"I3", "event taken twice", []string{
			`ALTER TABLE deadline_events DROP CONSTRAINT deadline_events_once`,
			`INSERT INTO deadline_events SELECT gen_random_uuid(), action_id, period, kind, stage, planned, fired, late_s, done, targets, told, gen
				FROM deadline_events WHERE action_id = ?0 AND kind = 'reminder'`}},
		{"I4", "event before its time, or lateness not as recorded", []string{
			`ALTER TABLE deadline_events DROP CONSTRAINT deadline_events_not_early`,
			`UPDATE deadline_events SET planned = fired + interval '1 minute' WHERE action_id = ?0 AND kind = 'reminder'`}},
		{"I4", "event before its time, or lateness not as recorded", []string{
			`UPDATE deadline_events SET late_s = late_s + 60 WHERE action_id = ?0 AND kind = 'reminder'`}},
		{"I5", "message stuck on its way", []string{
			`UPDATE messages SET next_try_at = ` + longAgo + `, not_before = not_before - interval '1 day' WHERE action_id = ?0`}},
		{"I5", "suppressed message without a reason", []string{
			`UPDATE messages SET state = 'suppressed', next_try_at = NULL WHERE action_id = ?0`}},
		{"I5", "person told without a message", []string{
			`DELETE FROM messages WHERE action_id = ?0 AND reason = 'escalation'`}},
		{"I6", "log rows not gapless", []string{
			`UPDATE actions SET log_seq = log_seq + 1 WHERE id = ?0`}},
		{"I6", "log rows not gapless", []string{
			`UPDATE action_logs SET seq = seq + 100 WHERE action_id = ?0 AND seq = 2`}},
		{"I6", "log begins twice, or without the action's creation", []string{
			`UPDATE action_logs SET log_type = 'created' WHERE action_id = ?0 AND seq = 2`}},
		{"I6", "log's last row is not the one that the action knows", []string{
			`UPDATE actions SET log_hash = sha256('another') WHERE id = ?0`}},
		{"I6", "action erased, but its words are there", []string{
			`UPDATE actions SET erased_at = updated_at + interval '1 second' WHERE id = ?0`}},
		{"I6", "feedback erased, but its words are there", []string{
			`UPDATE feedback SET erased_at = decided_at WHERE decision = 'ignored'`}},
		{"I6", "status differs from the log", []string{
			`UPDATE actions SET status = 'in_progress' WHERE status = 'closed'`}},
	}
}

func TestVerifyFindsEveryBreach(t *testing.T) {
	t.Parallel()
	for _, b := range breaches() {
		t.Run(b.what, func(t *testing.T) {
			t.Parallel()
			w, a := lived(t)
			w.Holds()
			for _, sql := range b.sql {
				w.Exec(sql, a.ID)
			}
			found, err := w.Store.Verify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Invariant == b.invariant && f.What == b.what {
					if f.Count == 0 || len(f.Examples) == 0 || len(f.Examples[0]) != 36 {
						t.Errorf("finding = %+v, want its rows", f)
					}
					return
				}
			}
			t.Errorf("findings = %+v, want %s", found, b.what)
		})
	}
}

// TestEveryCheckIsTried keeps the table above whole: the names of all checks
// stand in it.
func TestEveryCheckIsTried(t *testing.T) {
	t.Parallel()
	tried := map[string]bool{}
	for _, b := range breaches() {
		tried[b.what] = true
	}
	for _, what := range store.CheckNames() {
		if !tried[what] {
			t.Errorf("no breach for the check %q", what)
		}
	}
}

func TestVerifyLeavesOutWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	a := w.Create(w.Complaint(model.SeverityCritical))[0]
	w.Insert(w.Complaint(model.SeverityHigh))
	w.SetTime(*a.NextAt)
	w.Exec("UPDATE messages SET next_try_at = clock_timestamp(), not_before = ?", *a.NextAt)
	w.Holds()
}

func TestVerifyWaitsForNobody(t *testing.T) {
	t.Parallel()
	w, a := lived(t)
	tx, err := w.Store.DB().Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec("SELECT FROM actions WHERE id = ? FOR UPDATE", a.ID); err != nil {
		t.Fatal(err)
	}
	w.Holds()
}
