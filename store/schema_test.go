package store

import (
	"database/sql"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/uptrace/bun/schema"

	"github.com/pxactions/px/model"
)

// models are the rows that Go reads and writes.
func models() []any {
	return []any{
		(*model.Action)(nil), (*model.ActionAttachment)(nil), (*model.ActionLog)(nil), (*model.APIKey)(nil), (*model.CalendarFeed)(nil), (*model.Clock)(nil),
		(*model.Credential)(nil), (*model.DeadlineEvent)(nil), (*model.Department)(nil), (*model.Feedback)(nil), (*model.Hook)(nil), (*model.Hospital)(nil),
		(*model.LogText)(nil), (*model.Message)(nil), (*model.PolicyRevision)(nil), (*model.RoutingRule)(nil), (*model.SLAConfig)(nil), (*model.Session)(nil),
		(*model.Survey)(nil),
		(*model.User)(nil),
	}
}

// column is one column as the database has it.
type column struct {
	TableName, ColumnName, DataType string
	IsNullable                      string
}

// columns lists every column, by table and name.
func columns(t *testing.T, s *Store) map[string]map[string]column {
	t.Helper()
	var all []column
	err := s.db.NewRaw(`SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name NOT LIKE 'bun%'`).Scan(t.Context(), &all)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]map[string]column{}
	for _, c := range all {
		if by[c.TableName] == nil {
			by[c.TableName] = map[string]column{}
		}
		by[c.TableName][c.ColumnName] = c
	}
	return by
}

func TestModelsAndTablesAgree(t *testing.T) {
	t.Parallel()
	s, _ := intakeStore(t)
	have := columns(t, s)
	// Not rows of the domain: read and written by SQL alone, or (clock) with a
	// column that only keeps it the one row.
	bySQL := map[string][]string{
		"directory_version": nil, "sweeps": nil, "audit_days": nil, "stream": nil, "action_words": nil, "idempotency_keys": nil, "clock": {"only_row"},
		"action_logs": {"xid"}, "feedback_revisions": nil, "directory_changes": nil,
	}
	for _, m := range models() {
		table := s.db.Table(reflect.TypeOf(m))
		cols := have[table.Name]
		for _, f := range table.Fields {
			c, ok := cols[f.Name]
			if !ok {
				t.Errorf("%s.%s of Go is not in the database", table.Name, f.Name)
				continue
			}
			if want := typesOf(f); !slices.Contains(want, c.DataType) {
				t.Errorf("%s.%s is %s in the database and %s in Go", table.Name, f.Name, c.DataType, f.StructField.Type)
			}
			if nullable := c.IsNullable == "YES"; nullable != takesNull(f) {
				t.Errorf("%s.%s nullable: database %t, Go %t", table.Name, f.Name, nullable, takesNull(f))
			}
			delete(cols, f.Name)
		}
		for name := range cols {
			if !slices.Contains(bySQL[table.Name], name) {
				t.Errorf("%s.%s of the database is not in Go", table.Name, name)
			}
		}
		delete(have, table.Name)
	}
	for table := range have {
		if _, ok := bySQL[table]; !ok {
			t.Errorf("table %s has no model", table)
		}
	}
}

// takesNull reports whether Go writes and reads NULL: a pointer, a slice of
// bytes that may be nil, or an enum whose empty value is none.
func takesNull(f *schema.Field) bool {
	if f.StructField.Type == reflect.TypeFor[[]byte]() {
		return slices.Contains([]string{"text_hash", "row_hash", "log_hash"}, f.Name) // the other hashes are always there
	}
	return !f.IsPK && (f.StructField.Type.Kind() == reflect.Pointer || f.NullZero)
}

// typesOf are the database's types that a Go field fits.
func typesOf(f *schema.Field) []string {
	typ := f.StructField.Type
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case f.Tag.HasOption("type"):
		told, _ := f.Tag.Option("type")
		return []string{told}
	case typ.String() == "time.Time":
		return []string{"timestamp with time zone"}
	case typ == reflect.TypeFor[[]byte]():
		return []string{"bytea"}
	}
	switch typ.Kind() {
	case reflect.String:
		return []string{"text", "character varying"}
	case reflect.Bool:
		return []string{"boolean"}
	case reflect.Int:
		return []string{"integer", "bigint"}
	case reflect.Int64:
		return []string{"bigint"}
	case reflect.Float64:
		return []string{"double precision"}
	default:
		return nil
	}
}

// domain is every field of the domain's five models, under the name of its
// column. A reference to a row is its name with _id, but for people.
func domain() map[string][]string {
	return map[string][]string{
		"actions": {
			"id", "created_at", "updated_at",
			"source_type", "content_type", "object_id", "title", "description", "hospital_id", "department_id", "category", "priority", "severity",
			"status", "assigned_to", "assigned_at", "due_at", "is_overdue", "reminder_sent_at", "escalated_at", "escalation_level",
			"requires_approval", "approved_by", "approved_at", "rejected_by", "rejected_at", "rejection_reason", "closed_at", "closed_by",
			"action_plan", "outcome", "metadata",
		},
		"action_logs": {"id", "created_at", "action_id", "log_type", "message", "created_by", "old_status", "new_status", "metadata"},
		"action_attachments": {
			"id", "created_at", "updated_at", "action_id", "file", "filename", "file_type", "file_size", "uploaded_by", "description", "is_evidence",
		},
		"sla_configs": {
			"id", "created_at", "updated_at", "name", "hospital_id", "department_id", "critical_hours", "high_hours", "medium_hours", "low_hours",
			"reminder_hours_before", "auto_escalate", "escalation_delay_hours", "is_active",
		},
		"routing_rules": {
			"id", "created_at", "updated_at", "name", "description", "source_type", "category", "severity", "hospital_id", "department_id",
			"assign_to_role", "assign_to_user", "assign_to_department", "priority", "is_active",
		},
	}
}

// choices are the values that the domain gives its fields, in their order.
func choices() map[string][]string {
	return map[string][]string{
		"actions_status_check": {"open", "in_progress", "pending_approval", "approved", "closed", "cancelled"},
		"actions_source_type_check": {
			"survey", "complaint", "complaint_resolution", "social_media", "call_center", "kpi", "manual", "patient_family_committee",
			"executive_committee", "department_meeting", "rounds", "staff_feedback", "patient_observation", "quality_audit", "management_review",
		},
		"actions_category_check": {
			"clinical_quality", "patient_safety", "service_quality", "staff_behavior", "facility", "process_improvement", "other",
		},
		"actions_priority_check":     {"low", "medium", "high", "critical"},
		"actions_severity_check":     {"low", "medium", "high", "critical"},
		"action_logs_log_type_check": {"status_change", "assignment", "escalation", "note", "evidence", "approval", "sla_reminder"},
	}
}

func TestTheDomainKeepsItsNames(t *testing.T) {
	t.Parallel()
	s, _ := intakeStore(t)
	have := columns(t, s)
	for table, fields := range domain() {
		for _, f := range fields {
			if _, ok := have[table][f]; !ok {
				t.Errorf("table %s lacks %s", table, f)
			}
		}
	}
	for constraint, values := range choices() {
		var def string
		err := s.db.NewRaw("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = ?", constraint).Scan(t.Context(), &def)
		if err != nil {
			t.Errorf("%s: %v", constraint, err)
		}
		for _, v := range values {
			if !strings.Contains(def, "'"+v+"'") {
				t.Errorf("%s does not allow %s", constraint, v)
			}
		}
	}
}

func TestTheDomainKeepsItsDefaults(t *testing.T) {
	t.Parallel()
	s, _ := intakeStore(t)
	for column, want := range map[string]string{
		"actions.priority": "'medium'::text", "actions.severity": "'medium'::text", "actions.status": "'open'::text", "actions.is_overdue": "false",
		"actions.escalation_level": "0", "actions.requires_approval": "true", "action_attachments.is_evidence": "false",
		"sla_configs.critical_hours": "24", "sla_configs.high_hours": "48", "sla_configs.medium_hours": "72", "sla_configs.low_hours": "120",
		"sla_configs.reminder_hours_before": "4", "sla_configs.auto_escalate": "true", "sla_configs.escalation_delay_hours": "2",
		"sla_configs.is_active": "true", "routing_rules.priority": "0", "routing_rules.is_active": "true",
	} {
		table, name, _ := strings.Cut(column, ".")
		var got sql.NullString
		err := s.db.NewRaw("SELECT column_default FROM information_schema.columns WHERE table_name = ? AND column_name = ?", table, name).Scan(t.Context(), &got)
		if err != nil || got.String != want {
			t.Errorf("default of %s = %q, %v; want %q", column, got.String, err, want)
		}
	}
}

// TestTheEnumsOfGoAndOfTheDatabaseAreTheSame: each CHECK allows exactly what Go
// knows.
func TestTheEnumsOfGoAndOfTheDatabaseAreTheSame(t *testing.T) {
	t.Parallel()
	s, _ := intakeStore(t)
	for constraint, want := range map[string][]string{
		"actions_status_check":       words(model.Statuses()),
		"actions_source_type_check":  words(model.SourceTypes()),
		"feedback_source_type_check": words(model.SourceTypes()),
		"actions_category_check":     words(model.Categories()),
		"feedback_category_check":    append(words(model.Categories()), ""),
		"actions_priority_check":     words(model.Severities()),
		"actions_severity_check":     words(model.Severities()),
		"feedback_severity_check":    append(words(model.Severities()), ""),
		"feedback_kind_check":        append(words(model.FeedbackKinds()), ""),
		"action_logs_log_type_check": words(model.LogTypes()),
		"actions_next_kind_check":    words(model.EventKinds()),
		"deadline_events_kind_check": words(model.EventKinds()),
		"deadline_events_done_check": words([]model.EventDone{model.DoneTold, model.DoneSilent, model.DoneSuperseded, model.DoneUntargeted}),
		"messages_channel_check":     words(model.Channels()),
		"messages_state_check":       words([]model.MessageState{model.MessagePending, model.MessageSending, model.MessageSent, model.MessageFailed, model.MessageSuppressed}),
		"feedback_mode_check":        words([]model.Mode{model.ModeLive, model.ModeHistory, model.ModeShadow}),
		"feedback_decision_check":    words([]model.Decision{model.DecisionCreated, model.DecisionMerged, model.DecisionIgnored, model.DecisionQuarantined}),
		"surveys_metric_check":       words([]model.Metric{model.MetricScore, model.MetricNPS}),
		"surveys_score_better_check": append(words([]model.Better{model.BetterHigh, model.BetterLow}), ""),
	} {
		var got []string
		err := s.db.NewRaw(`SELECT m[1] FROM pg_constraint, regexp_matches(pg_get_constraintdef(oid), '''([a-z_]*)''', 'g') m WHERE conname = ?`, constraint).
			Scan(t.Context(), &got)
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s allows %v, %v; Go knows %v", constraint, got, err, want)
		}
	}
}

func words[T ~string](values []T) []string {
	ws := make([]string, len(values))
	for i, v := range values {
		ws[i] = string(v)
	}
	return ws
}
