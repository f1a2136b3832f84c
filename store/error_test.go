package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// violation is a statement that a named constraint refuses, and what that means
// to a caller: a field, or "" for a conflict.
type violation struct{ constraint, sql, field string }

func violations() []violation {
	const (
		hospital   = `INSERT INTO hospitals (id, code, name, zone, created_at, updated_at) VALUES (gen_random_uuid(), '%s', 'Secret Name', 'UTC', now(), now())`
		user       = `INSERT INTO users (id, code, name, created_at, updated_at%s) VALUES ('00000000-0000-0000-0000-000000000001', '%s', 'Secret Name', now(), now()%s)`
		survey     = `INSERT INTO surveys (id, code, name, score_min, score_max, created_at, updated_at) VALUES (gen_random_uuid(), '%s', 'Secret Name', 1, %d, now(), now())`
		policy     = `INSERT INTO policy_revisions (revision, document, sha256, created_by, created_at) VALUES (%d, '{}', '', 'x', now())`
		config     = `INSERT INTO sla_configs (id, revision, name, low_hours, created_at, updated_at) VALUES (gen_random_uuid(), %d, 'Secret Name', %d, now(), now())`
		department = `INSERT INTO departments (id, hospital_id, code, name, created_at, updated_at)
			SELECT gen_random_uuid(), id, 'ED', 'Secret Name', now(), now() FROM hospitals LIMIT 1`
		feedback = `INSERT INTO feedback (id, source_system, event_id, content_hash, received_at, heal_after, created_at, decision, decided_at, text)
			VALUES (gen_random_uuid(), 's', 'e', '', now(), now(), now(), 'quarantined', now(), 'Secret Name')`
		key = `INSERT INTO api_keys (id, name, prefix, hash, source_system, scopes, created_by, created_at)
			VALUES (gen_random_uuid(), 'Secret Name', 'px_', 'h', 's', '{}', gen_random_uuid(), now())`
		hook = `INSERT INTO hooks (id, name, url, secret, cursor_epoch, cursor_xid, cursor_action_id, cursor_seq, created_by, created_at)
			VALUES (gen_random_uuid(), '%s', 'https://secret.example', 'Secret', 'e', '1', gen_random_uuid(), 0, 'x', now())`
	)
	twice := func(format string, args ...any) string {
		one := fmt.Sprintf(format, args...)
		return one + ";" + strings.Replace(one, "000000000001", "000000000002", 1)
	}
	return []violation{
		{"hospitals_code_format", fmt.Sprintf(hospital, "ruh"), "hospital.code"},
		{"hospitals_code_key", twice(hospital, "NEW"), "code"},
		{"users_code_key", twice(user, "", "new", ""), "code"},
		{"users_substitute_not_self", fmt.Sprintf(user, ", substitute_id", "new", ", '00000000-0000-0000-0000-000000000001'"), "user.substitute"},
		{"users_substitute_span", fmt.Sprintf(user, ", substitute_from, substitute_to", "new", ", now(), now() - interval '1 day'"), "user.substitute_to"},
		{"surveys_code_key", twice(survey, "NEW", 5), "code"},
		{"surveys_scale", fmt.Sprintf(survey, "NEW", 1), "survey.score_max"},
		{"sla_configs_hours_positive", fmt.Sprintf(policy+";"+config, 1, 1, 0), "sla.hours"},
		{"sla_configs_active_scope", fmt.Sprintf(policy+";"+config+";"+config, 1, 1, 1, 1, 1), "sla"},
		{"departments_hospital_code_key", twice(department), "code"},
		{"feedback_event_key", twice(feedback), ""},
		{"api_keys_created_by_fkey", key, "key.created_by"},
		{"hooks_name_format", fmt.Sprintf(hook, "Secret Name"), "hook.name"},
		{"hooks_name_key", twice(hook, "host"), "hook.name"},
		{"deadline_events_once", "", ""}, {"messages_once", "", ""}, {"action_logs_seq_key", "", ""}, {"actions_feedback_id_key", "", ""},
	}
}

func TestConstraintsAreToldInTheCallersWords(t *testing.T) {
	t.Parallel()
	for _, v := range violations() {
		t.Run(v.constraint, func(t *testing.T) {
			t.Parallel()
			err := mapErr(&pgconn.PgError{Code: "23505", ConstraintName: v.constraint, Detail: "Secret Name", Message: "Secret Name"})
			if v.sql != "" { // the others need a whole action: they are met where actions are
				s, _ := intakeStore(t)
				_, err = s.db.Exec(v.sql)
				err = mapErr(err)
			}
			var faults model.FieldErrors
			switch {
			case v.field == "" && !errors.Is(err, model.ErrConflict):
				t.Errorf("error = %v, want a conflict", err)
			case v.field != "" && (!errors.As(err, &faults) || faults[0].Field != v.field || faults[0].Want == "" || faults[0].Code == ""):
				t.Errorf("error = %v, want a fault of %s", err, v.field)
			}
			if err != nil && containsAny(err.Error(), "Secret") {
				t.Errorf("error %q quotes the row", err)
			}
		})
	}
}

// TestNoConstraintIsForgotten: each named one is either told in the caller's
// words or can be met only by a bug of ours.
func TestNoConstraintIsForgotten(t *testing.T) {
	t.Parallel()
	s, _ := intakeStore(t)
	var names []string
	err := s.db.NewRaw(`SELECT conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('u', 'c', 'f') AND conrelid::regclass::text NOT LIKE 'bun%'
		UNION SELECT indexrelid::regclass::text FROM pg_index WHERE indisunique AND NOT indisprimary AND indrelid::regclass::text NOT LIKE 'bun%'
			AND indexrelid::regclass::text NOT LIKE 'pg\_%' ORDER BY 1`).Scan(t.Context(), &names)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, v := range violations() {
		told[v.constraint] = true
	}
	for name := range pointers() {
		if !slices.Contains(names, name) {
			t.Errorf("there is no foreign key %s", name)
		}
	}
	for _, name := range names {
		_, meant := constraintMeaning(name)
		switch ours := bugsOnly(name); {
		case meant && ours:
			t.Errorf("constraint %s is told, and yet listed as met by a bug only", name)
		case !meant && !ours:
			t.Errorf("constraint %s means nothing to a caller: add it to constraintMeaning, or here", name)
		case meant && !told[name]:
			t.Errorf("constraint %s has no violation in this test", name)
		}
	}
}

// bugsOnly are constraints on what the program writes by itself: enums of its
// own, numbers it counts, rows it keeps whole, rows it points at.
func bugsOnly(name string) bool {
	if strings.HasSuffix(name, "_check") || strings.HasSuffix(name, "_only_row") {
		return true
	}
	return pointers()[name] || slices.Contains([]string{
		"clock_speed_positive", "actions_ref_key", "actions_period_positive", "actions_paused_not_negative", "actions_next_whole",
		"actions_ended_without_next", "feedback_decided_whole", "feedback_action_whole", "feedback_mapped", "deadline_events_not_early",
		"action_logs_seq_positive", "action_attachments_size", "action_attachments_storage_key", "messages_key_key", "messages_open_has_try",
		"messages_claim_whole", "api_keys_hash_key", "surveys_metric_check", "calendar_feeds_failed_whole", "hooks_deleted_rest",
		"feedback_revisions_not_negative", "idempotency_keys_key_length",
	}, name)
}

// pointers are the foreign keys to rows that the program has just read or
// written in the same transaction, or knows from the directory, whose rows are
// never deleted; callers name all these by codes or addresses, and hear of those
// that do not exist before anything is written.
func pointers() map[string]bool {
	all := map[string]bool{}
	for table, columns := range map[string]string{
		"feedback_revisions": "feedback_id",
		"directory_changes":  "key_id person_id",
		"users":              "hospital_id department_id substitute_id",
		"departments":        "hospital_id manager_id",
		"sla_configs":        "revision hospital_id department_id",
		"routing_rules":      "revision hospital_id department_id assign_to_user assign_to_department",
		"actions":            "feedback_id linked_to hospital_id department_id assigned_to sla_config_id submitted_by approved_by rejected_by closed_by complainant_informed_by",
		"feedback":           "hospital_id department_id survey_id action_id sent_by sent_key",
		"deadline_events":    "action_id",
		"action_logs":        "action_id created_by",
		"log_texts":          "log_id",
		"action_words":       "action_id",
		"idempotency_keys":   "action_id",
		"action_attachments": "action_id uploaded_by",
		"messages":           "action_id event_id recipient_id",
		"credentials":        "user_id",
		"sessions":           "user_id",
	} {
		for _, column := range strings.Fields(columns) {
			all[table+"_"+column+"_fkey"] = true
		}
	}
	return all
}

func TestErrorsNeverQuoteARow(t *testing.T) {
	t.Parallel()
	s, _ := intakeStore(t)
	const feedback = `INSERT INTO feedback (id, source_system, event_id, content_hash, received_at, heal_after, created_at, decision, decided_at, text, severity, metadata)
		VALUES (gen_random_uuid(), 's', %s, '', now(), now(), now(), 'quarantined', now(), 'Secret Name', %s, %s)`
	for name, query := range map[string]string{
		"a value that does not fit":   `SELECT 'Secret Name'::int`,
		"a text that is too long":     `UPDATE hospitals SET name = 'x'; SELECT 'Secret Name'::uuid`,
		"words that break the syntax": `SELECT 1 'Secret' Name Secret`,
		"a foreign key to nobody": `INSERT INTO users (id, code, name, substitute_id, created_at, updated_at)
			VALUES (gen_random_uuid(), 'c', 'Secret Name', '11111111-1111-1111-1111-111111111111', now(), now())`,
		"a bad enum":                    `UPDATE surveys SET metric = 'Secret Name'; INSERT INTO surveys (id, code, name, metric, created_at, updated_at) VALUES (gen_random_uuid(), 'c', 'n', 'Secret', now(), now())`,
		"a missing value beside others": `INSERT INTO users (id, code, name) VALUES (gen_random_uuid(), 'Secret', 'Secret Name')`,
		"a feedback without its facts":  `INSERT INTO feedback (id, title, text) VALUES (gen_random_uuid(), 'Secret', 'Secret Name')`,
		"a feedback of a bad severity":  fmt.Sprintf(feedback, "'e'", "'Secret'", "'{}'"),
		"a feedback of bad JSON":        fmt.Sprintf(feedback, "'e'", "'low'", "'{Secret'"),
		"a feedback of bad bytes":       fmt.Sprintf(feedback, `E'Secret\xff'`, "'low'", "'{}'"),
		"an event id that no index can hold": fmt.Sprintf(feedback, `(SELECT 'Secret' || string_agg(md5(n::text), 'Secret') FROM generate_series(1, 500) n)`,
			"'low'", "'{}'"),
		"an action of no hospital":     `INSERT INTO actions (id, title, description) VALUES (gen_random_uuid(), 'Secret', 'Secret Name')`,
		"a note on no action":          `INSERT INTO log_texts VALUES ('Secret', 'Secret')`,
		"words for a number":           `UPDATE actions SET title = 'Secret', version = 'Secret'`,
		"a function that nobody wrote": `SELECT said('Secret Name')`,
	} {
		_, err := s.db.Exec(query)
		if err = mapErr(err); err == nil || containsAny(err.Error(), "Secret", "11111111") {
			t.Errorf("%s: error %v, want one without the row", name, err)
		} else if errors.Is(err, model.ErrUnavailable) || isNotFound(err) {
			t.Errorf("%s: %v is taken for something that passes", name, err)
		}
	}
}

func TestWhatPassesIsUnavailable(t *testing.T) {
	t.Parallel()
	pg := func(code string) error {
		return fmt.Errorf("load: %w", &pgconn.PgError{Code: code, Message: "m", Detail: "Secret"})
	}
	for name, err := range map[string]error{
		"a connection that broke":        pg("08006"),
		"a server that shuts down":       pg("57P01"),
		"one that starts up":             pg("57P03"),
		"a full disk":                    pg("53100"),
		"memory that ran out":            pg("53200"),
		"too many connections":           pg("53300"),
		"too many temporary files":       pg("53400"),
		"a disk that fails":              pg("58030"),
		"a disk made read-only":          pg("42501"),
		"a deadlock":                     pg("40P01"),
		"a replica":                      pg("25006"),
		"a lock not had in time":         pg("55P03"),
		"a bad connection of the pool":   driver.ErrBadConn,
		"a connection that was returned": sql.ErrConnDone,
		"one that broke a moment ago":    fmt.Errorf("commit: %w", pgconn.ErrConnClosed),
		"a time that ran out":            fmt.Errorf("query: %w", context.DeadlineExceeded),
	} {
		if got := mapErr(err); !errors.Is(got, model.ErrUnavailable) || containsAny(got.Error(), "Secret") {
			t.Errorf("%s = %v, want unavailable", name, got)
		}
	}
	if got := mapErr(fmt.Errorf("load: %w", sql.ErrNoRows)); !errors.Is(got, model.ErrNotFound) {
		t.Errorf("no row = %v, want not found", got)
	}
	if got := mapErr(context.Canceled); !errors.Is(got, context.Canceled) || errors.Is(got, model.ErrUnavailable) {
		t.Errorf("a caller who left = %v, want it as it is", got)
	}
	if mapErr(nil) != nil {
		t.Error("nothing is an error")
	}
}

// TestAConnectionThatTakesNoWritesIsLeft: another may reach a server that does.
func TestAConnectionThatTakesNoWritesIsLeft(t *testing.T) {
	t.Parallel()
	s, err := Open(testenv.DatabaseURL(t), Options{PoolSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.db.ExecContext(t.Context(), "SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	if err := s.Writable(t.Context()); !errors.Is(err, model.ErrUnavailable) {
		t.Errorf("writable = %v, want unavailable", err)
	}
	const write = "UPDATE clock SET speed = speed"
	if _, err := s.db.ExecContext(t.Context(), write); !errors.Is(mapErr(err), model.ErrUnavailable) {
		t.Errorf("the first write = %v, want unavailable", err)
	}
	if _, err := s.db.ExecContext(t.Context(), write); err != nil {
		t.Errorf("the second write = %v, want another connection", err)
	}
	if _, err := s.db.ExecContext(t.Context(), "SELECT 1/0"); err == nil {
		t.Error("no error")
	}
	if _, err := s.db.ExecContext(t.Context(), "SET LOCAL search_path = x; SELECT pg_terminate_backend(pg_backend_pid())"); err == nil {
		t.Error("no error")
	}
	if err := s.Writable(t.Context()); err != nil {
		t.Errorf("writable after its end = %v", err)
	}
}

// TestAllHostsAreTriedInTheTimeOfOne: one that is off does not answer, and who
// waits for the connection waits no longer for two.
func TestAllHostsAreTriedInTheTimeOfOne(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]time.Duration{
		"postgres://px@a/px":                                     5 * time.Second,
		"postgres://px@a/px?sslmode=prefer":                      5 * time.Second,
		"postgres://px@a,b/px":                                   2500 * time.Millisecond,
		"postgres://px@a:1,a:2,b/px":                             5 * time.Second / 3,
		"postgres://px@/px?host=/a,/b":                           2500 * time.Millisecond,
		"postgres://px@a,b/px?connect_timeout=4":                 4 * time.Second,
		"postgres://px@a,b/px?target_session_attrs=any":          2500 * time.Millisecond,
		"postgres://px@a,b,b/px?target_session_attrs=read-write": 2500 * time.Millisecond,
	} {
		cfg, err := configOf(url)
		if err != nil || cfg.ConnectTimeout != want {
			t.Errorf("%s: %s, %v, want %s", url, cfg.ConnectTimeout, err, want)
		}
	}
}

func TestURLsAndPasswordsStandInNoError(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://px:Secret@127.0.0.1:1/px", // nobody listens
		"postgres://px:Secret@no-such-host.invalid/px",
		"postgres://px:Secret@127.0.0.1:notaport/px",
		"http://px:Secret@127.0.0.1/px",
		"host=/tmp password=Secret port=x",
	} {
		s, err := Open(url, Options{})
		if err == nil {
			err = s.Ping(t.Context())
			if !errors.Is(err, model.ErrUnavailable) {
				t.Errorf("ping = %v, want unavailable", err)
			}
			_ = s.Close()
		}
		if err == nil || containsAny(err.Error(), "Secret", "127.0.0.1", "no-such-host") {
			t.Errorf("error = %v, want one that tells nothing of the URL", err)
		}
	}
}
