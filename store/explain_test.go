package store_test

import (
	"context"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// node is what the test reads of a query plan.
type node struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Index    string `json:"Index Name"`
	Plans    []node
}

// plan asks PostgreSQL how it would run a query, without running it, in a
// transaction that begins with some settings.
func plan(t *testing.T, w *scenario.World, query, settings string) node {
	t.Helper()
	var raw string
	err := w.Store.DB().RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewRaw("?", bun.Safe(settings)).Exec(ctx); err != nil {
			return err
		}
		return tx.NewRaw("EXPLAIN (FORMAT JSON) ?", bun.Safe(query)).Scan(ctx, &raw)
	})
	if err != nil {
		t.Fatalf("explain %s: %v", query, err)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(raw), &plans); err != nil {
		t.Fatal(err)
	}
	return plans[0].Plan
}

// scanned lists the tables that a plan reads from end to end, and the indexes
// that it uses.
func (n node) scanned() (whole, indexes []string) {
	if n.Type == "Seq Scan" {
		whole = append(whole, n.Relation)
	}
	if n.Index != "" {
		indexes = append(indexes, n.Index)
	}
	for _, p := range n.Plans {
		w, i := p.scanned()
		whole, indexes = append(whole, w...), append(indexes, i...)
	}
	return whole, indexes
}

// wantIndexed fails the test where a query reads a big table from end to end.
func wantIndexed(t *testing.T, w *scenario.World, query, settings string) []string {
	t.Helper()
	whole, indexes := plan(t, w, query, settings).scanned()
	for _, table := range []string{"actions", "action_logs", "feedback", "messages", "deadline_events", "log_texts", "feedback_revisions"} {
		if slices.Contains(whole, table) {
			t.Errorf("reads all of %s: %s", table, query)
		}
	}
	return indexes
}

// crowded fills a world with 20 000 actions as a hospital has them after years:
// most are closed, few are live, fewer late. Every hundredth is rare in each
// of its codes.
func crowded(t *testing.T, w *scenario.World) {
	t.Helper()
	a := decide(t, w, w.Complaint(model.SeverityLow))[0]
	fire(t, w, a.ID, 2) // reminder and overdue, so that events, logs and messages have a pattern
	// Each statement multiplies the rows of that one action; ids are made of the row's number.
	id := func(table string) string { return fmt.Sprintf("md5('%s' || n)::uuid", table) }
	copies := []struct{ table, from, overrides string }{
		{"actions", "actions p, generate_series(1, 20000) n", `'id', ` + id("action") + `, 'ref', 'RUH-26-' || lpad((n + 1000)::text, 7, '0'), 'feedback_id', NULL,
			'status', CASE n % 100 WHEN 0 THEN 'open' WHEN 1 THEN 'in_progress' WHEN 2 THEN 'pending_approval' WHEN 3 THEN 'cancelled' ELSE 'closed' END,
			'hospital_id', CASE WHEN n % 100 = 0 THEN h.id ELSE p.hospital_id END, 'department_id', CASE WHEN n % 100 = 0 THEN d.id ELSE p.department_id END,
			'assigned_to', CASE WHEN n % 100 < 4 THEN u.id ELSE p.assigned_to END,
			'severity', CASE n % 100 WHEN 0 THEN 'critical' ELSE 'medium' END, 'priority', CASE n % 100 WHEN 0 THEN 'critical' ELSE 'medium' END,
			'category', CASE n % 100 WHEN 0 THEN 'patient_safety' ELSE 'other' END, 'source_type', CASE n % 100 WHEN 0 THEN 'kpi' ELSE 'survey' END,
			'is_overdue', n % 100 = 1, 'due_at', p.due_at + n * interval '1 hour', 'created_at', p.created_at + n * interval '1 minute',
			'next_at', CASE WHEN n % 100 < 2 THEN p.due_at + n * interval '1 hour' END, 'next_kind', CASE WHEN n % 100 < 2 THEN 'overdue' END,
			'next_stage', CASE WHEN n % 100 < 2 THEN 0 END, 'gen', 5, 'armed_gen', CASE WHEN n % 1000 = 0 THEN 4 ELSE 5 END`},
		{"action_logs", "(SELECT * FROM action_logs LIMIT 1) p, generate_series(1, 20000) n", `'id', md5('log' || n || p.seq)::uuid, 'action_id', ` + id("action") + `,
			'log_type', CASE WHEN n % 100 = 0 THEN 'escalation' ELSE 'note' END`},
		{"deadline_events", "(SELECT * FROM deadline_events LIMIT 1) p, generate_series(1, 20000) n", `'id', md5('event' || n || p.kind)::uuid, 'action_id', ` + id("action")},
		{"messages", "(SELECT * FROM messages LIMIT 1) p, generate_series(1, 20000) n", `'id', ` + id("message") + `, 'action_id', ` + id("action") + `, 'event_id', NULL,
			'key', 'px_' || n, 'state', CASE WHEN n % 1000 = 0 THEN 'pending' WHEN n % 1000 = 1 THEN 'failed' ELSE 'sent' END,
			'next_try_at', CASE WHEN n % 1000 = 0 THEN p.created_at END, 'sent_at', p.created_at`},
		{"feedback", "feedback p, generate_series(1, 20000) n", `'involved_users', '[]'::jsonb, 'id', ` + id("feedback") + `, 'event_id', 'event ' || n, 'subject_key', md5('subject' || n),
			'action_id', CASE WHEN n % 1000 > 0 THEN ` + id("action") + ` END, 'decision', CASE WHEN n % 1000 > 0 THEN 'merged' END,
			'decided_at', CASE WHEN n % 1000 > 0 THEN p.decided_at END`},
	}
	for _, c := range copies {
		_, err := w.Store.DB().NewRaw(`INSERT INTO ?0 SELECT r.* FROM hospitals h, (SELECT * FROM departments ORDER BY id DESC LIMIT 1) d, (SELECT * FROM users ORDER BY id DESC LIMIT 1) u, ?1,
			LATERAL jsonb_populate_record(NULL::?0, to_jsonb(p) || jsonb_build_object(?2)) r WHERE h.code = 'BER'`,
			bun.Safe(c.table), bun.Safe(c.from), bun.Safe(c.overrides)).Exec(t.Context())
		if err != nil {
			t.Fatalf("fill %s: %v", c.table, err)
		}
	}
	for table, query := range map[string]string{
		"log_texts": "INSERT INTO log_texts SELECT id, 'words', '' FROM action_logs",
		"feedback_revisions": `INSERT INTO feedback_revisions (feedback_id, revision, content_hash, content, replaced_at)
			SELECT id, 0, content_hash, to_jsonb(f), created_at FROM feedback f`,
	} {
		if _, err := w.Store.DB().NewRaw(query).Exec(t.Context()); err != nil {
			t.Fatalf("fill %s: %v", table, err)
		}
	}
	if _, err := w.Store.DB().NewRaw("VACUUM ANALYZE").Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestQueriesAreIndexed: nothing that is asked every day reads a big table
// from end to end.
func TestQueriesAreIndexed(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	crowded(t, w)
	var a model.Action // a rare one
	if err := w.Store.DB().NewSelect().Model(&a).Where("category = 'patient_safety'").OrderExpr("id").Limit(1).Scan(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("what the domain's own list of indexes serves", func(t *testing.T) { domainQueries(t, w, a) })
	t.Run("what sweeps, pages and stories send", func(t *testing.T) { programQueries(t, w, a) })
}

func domainQueries(t *testing.T, w *scenario.World, a model.Action) {
	t.Helper()
	soon := scenario.Start().Add(10 * 24 * time.Hour).Format(time.RFC3339)
	const newest = " ORDER BY created_at DESC LIMIT 50"
	for name, where := range map[string]string{
		"status, newest first":                "actions WHERE status = 'open'" + newest,
		"hospital and status, newest first":   fmt.Sprintf("actions WHERE hospital_id = '%s' AND status = 'open'%s", a.HospitalID, newest),
		"assignee and status, newest first":   fmt.Sprintf("actions WHERE assigned_to = '%s' AND status = 'in_progress'%s", a.AssignedTo, newest),
		"department and status, newest first": fmt.Sprintf("actions WHERE department_id = '%s' AND status = 'open'%s", a.DepartmentID, newest),
		"overdue and status":                  "actions WHERE is_overdue AND status = 'in_progress'",
		"due and status":                      fmt.Sprintf("actions WHERE due_at < '%s' AND status = 'open'", soon),
		"source, newest first":                "actions WHERE source_type = 'kpi'" + newest,
		"source":                              "actions WHERE source_type = 'kpi'",
		"category":                            "actions WHERE category = 'patient_safety'",
		"priority":                            "actions WHERE priority = 'critical'",
		"severity":                            "actions WHERE severity = 'critical'",
		"status":                              "actions WHERE status = 'open'",
		"due":                                 fmt.Sprintf("actions WHERE due_at < '%s'", soon),
		"overdue":                             "actions WHERE is_overdue",
		"the log of an action, newest first":  fmt.Sprintf("action_logs WHERE action_id = '%s' ORDER BY created_at DESC", a.ID),
		"the log by type":                     "action_logs WHERE log_type = 'escalation'",
	} {
		t.Run(name, func(t *testing.T) {
			if used := wantIndexed(t, w, "SELECT * FROM "+where, ""); len(used) == 0 {
				t.Error("no index is used")
			}
		})
	}
}

// recorder keeps the statements that the store sends.
type recorder struct {
	mu      sync.Mutex
	queries []string
}

func (r *recorder) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (r *recorder) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, verb := range []string{"SELECT", "UPDATE", "WITH", "SET LOCAL"} {
		if strings.HasPrefix(e.Query, verb) {
			r.queries = append(r.queries, e.Query)
		}
	}
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	qs := r.queries
	r.queries = nil
	return qs
}

// programQueries asks for the plan of every statement that the store really
// sends.
func programQueries(t *testing.T, w *scenario.World, a model.Action) {
	t.Helper()
	var rec recorder
	//lint:ignore SA1019 the store opens its own database; there is no other way in
	w.Store.DB().AddQueryHook(&rec)
	after := store.Keyset{At: a.CreatedAt, ID: a.ID.String()}
	held := store.Subject{Key: fmt.Sprintf("%x", md5.Sum([]byte("subject77")))}
	page := func(f store.ActionFilter) func(context.Context) error {
		return func(ctx context.Context) error { _, err := w.Store.Actions(ctx, f); return err }
	}
	for _, tt := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"late deadlines", func(ctx context.Context) error {
			_, _, err := w.Store.LateDeadlines(ctx, store.Keyset{}, 100)
			return err
		}},
		{"more late deadlines", func(ctx context.Context) error { _, _, err := w.Store.LateDeadlines(ctx, after, 100); return err }},
		{"late feedback", func(ctx context.Context) error {
			_, _, err := w.Store.LateFeedback(ctx, store.Keyset{}, 100)
			return err
		}},
		{"late messages", func(ctx context.Context) error {
			_, _, err := w.Store.LateMessages(ctx, model.Channels(), store.Keyset{}, 100)
			return err
		}},
		{"unarmed jobs", func(ctx context.Context) error { _, err := w.Store.Unarmed(ctx, 100); return err }},
		{"jobs to arm again", func(ctx context.Context) error { _, _, err := w.Store.Armable(ctx, after, 100); return err }},
		{"a story", func(ctx context.Context) error { _, err := w.Store.Story(ctx, a.ID, store.StoryOptions{}); return err }},
		{"an action by ref", func(ctx context.Context) error { _, err := w.Store.ActionByRef(ctx, "RUH-26-0005000"); return err }},
		{"counts", func(ctx context.Context) error { _, err := w.Store.Counts(ctx); return err }},
		{"what is held about a subject", func(ctx context.Context) error {
			var err error
			if held, err = w.Store.Subject(ctx, held.Key, []model.FeedbackID{model.NewID[model.Feedback]()}); err == nil && (len(held.Actions) != 1 || len(held.Feedback) != 1) {
				err = fmt.Errorf("%+v", held)
			}
			return err
		}},
		{"a subject's rows", func(ctx context.Context) error {
			return w.Store.ExportSubject(ctx, held, func(store.SubjectRow) error { return nil })
		}},
		{"a subject's erasure", func(ctx context.Context) error {
			_, err := w.Store.EraseSubject(ctx, held.Key, []model.ActionID{held.Actions[0].ID}, []model.FeedbackID{held.Feedback[0].ID})
			return err
		}},
		{"all actions", page(store.ActionFilter{})},
		{"live actions", page(store.ActionFilter{Statuses: []model.Status{model.StatusOpen, model.StatusInProgress}})},
		{"a hospital's open actions", page(store.ActionFilter{Hospitals: []model.HospitalID{a.HospitalID}, Statuses: []model.Status{model.StatusOpen}})},
		{"a department's actions", page(store.ActionFilter{Department: *a.DepartmentID})},
		{"somebody's actions", page(store.ActionFilter{Assignee: *a.AssignedTo, Statuses: []model.Status{model.StatusInProgress}})},
		{"overdue actions", page(store.ActionFilter{Overdue: true})},
		{"a source's actions", page(store.ActionFilter{Sources: []model.SourceType{model.SourceKPI}})},
	} {
		rec.take()
		if err := tt.run(t.Context()); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		queries := rec.take()
		if len(queries) == 0 {
			t.Errorf("%s: no query seen", tt.name)
		}
		settings := ""
		for _, q := range queries {
			if strings.HasPrefix(q, "SET LOCAL") {
				settings = q
				continue
			}
			wantIndexed(t, w, q, settings)
		}
	}
}
