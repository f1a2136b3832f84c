package store

// check is one invariant as a query for the ids of the rows that break it. ?0
// is the machine time before which nothing is in flight any more, ?1 the same
// in domain time; ?2 and ?3 are the bounds of a span of the table that it is over.
type check struct {
	invariant, what string
	over            string // the table that it goes over span by span; empty: an index finds what is broken, or the table is small
	heal            string // the sweep that mends it; empty: none
	query           string
	also            []string // what else the query finds: it then gives the number of it, 0 for what, beside each id
}

// names are all that a check finds.
func (c check) names() []string { return append([]string{c.what}, c.also...) }

// The sweeps that a finding may name, and what hands every job to Redis again.
const (
	HealedByFeedback  = "feedback"
	HealedByDeadlines = "deadlines"
	HealedByUnarmed   = "unarmed"
	HealedByMessages  = "messages"
	HealedByArming    = "arming"
)

func checks() []check {
	return append(append(feedbackChecks(), planChecks()...), storyChecks()...)
}

func feedbackChecks() []check {
	return []check{
		{"I1", "feedback undecided for too long", "", HealedByFeedback, `SELECT id::text FROM feedback WHERE decision IS NULL AND heal_after < ?0`, nil},
		{"I1", "feedback accepted twice", "", "", `SELECT min(id::text) FROM feedback GROUP BY source_system, event_id HAVING count(*) > 1`, nil},
		{"I1", "feedback says created, but no action says so", "feedback", "", `SELECT f.id::text FROM feedback f
			WHERE f.id > ?2 AND f.id <= ?3 AND f.decision = 'created' AND NOT EXISTS (SELECT FROM actions a WHERE a.id = f.action_id AND a.feedback_id = f.id)`, nil},
		{"I1", "action made of feedback that was not decided so", "actions", "", `SELECT a.id::text FROM actions a JOIN feedback f ON f.id = a.feedback_id
			WHERE a.id > ?2 AND a.id <= ?3 AND (f.decision IS DISTINCT FROM 'created' OR f.action_id <> a.id)`, nil},
		{"I1", "feedback decided twice: two actions are made of it", "", "", `SELECT min(feedback_id::text) FROM actions WHERE feedback_id IS NOT NULL GROUP BY feedback_id HAVING count(*) > 1`, nil},
		{"I1", "feedback decided twice: it stands in two actions' stories", "actions", "", `SELECT l.metadata->>'feedback' FROM action_logs l
			JOIN feedback f ON f.id = (l.metadata->>'feedback')::uuid
			WHERE l.action_id > ?2 AND l.action_id <= ?3 AND l.log_type = 'merged' AND l.metadata->'move' IS NULL AND f.action_id IS DISTINCT FROM l.action_id
				AND NOT EXISTS (SELECT FROM action_logs u WHERE u.action_id = l.action_id AND u.seq > l.seq AND u.log_type = 'merged'
					AND u.metadata->>'move' = 'unmerge' AND u.metadata->>'feedback' = l.metadata->>'feedback')`, nil},
		{"I1", "feedback says merged, but its action's story does not", "feedback", "", `SELECT f.id::text FROM feedback f
			WHERE f.id > ?2 AND f.id <= ?3 AND f.decision = 'merged' AND NOT EXISTS (
				SELECT FROM action_logs l WHERE l.action_id = f.action_id AND l.log_type = 'merged' AND l.metadata->>'feedback' = f.id::text)`, nil},
		{"I1", "earlier content of revised feedback is lost", "feedback", "", `SELECT f.id::text FROM feedback f
			WHERE f.id > ?2 AND f.id <= ?3 AND revision > 0 AND revision <> (
				SELECT count(*) FROM feedback_revisions r WHERE r.feedback_id = f.id AND r.revision < f.revision)`, nil},
		{"I1", "feedback retracted, but not decided, or its action's story does not say so", "feedback", "", `SELECT f.id::text FROM feedback f
			WHERE f.id > ?2 AND f.id <= ?3 AND retracted_at IS NOT NULL AND (decision IS NULL OR decision = 'quarantined' OR action_id IS NOT NULL AND NOT EXISTS (
				SELECT FROM action_logs l WHERE l.action_id = f.action_id AND l.log_type = 'revised'
					AND l.metadata->>'move' = 'retract' AND l.metadata->>'feedback' = f.id::text))`, nil},
		{"I1", "decision without a reason", "feedback", "", `SELECT id::text FROM feedback WHERE id > ?2 AND id <= ?3 AND decision IS NOT NULL AND reason = ''`, nil},
	}
}

// planChecks are those of jobs and deadline events.
func planChecks() []check {
	return []check{
		{"I2", "next deadline event is late", "", HealedByDeadlines, `SELECT id::text FROM actions WHERE next_at < ?1`, nil},
		{"I2", "job not armed for too long", "", HealedByUnarmed, `SELECT id::text FROM actions WHERE next_at IS NOT NULL AND armed_gen < gen AND arm_after < ?0`, nil},
		{"I2", "armed gen ahead of the plan", "actions", "", `SELECT id::text FROM actions WHERE id > ?2 AND id <= ?3 AND armed_gen > gen`, nil},
		{"I3", "escalation without overdue before it", "actions", "", `SELECT action_id::text FROM deadline_events e
			WHERE action_id > ?2 AND action_id <= ?3 AND kind = 'escalation' AND NOT by_hand AND NOT EXISTS (
				SELECT FROM deadline_events o WHERE o.action_id = e.action_id AND o.period = e.period AND o.kind = 'overdue' AND o.fired <= e.fired)`, nil},
		{"I3", "escalation stage skipped or out of order", "actions", "", `SELECT action_id::text FROM deadline_events e
			WHERE action_id > ?2 AND action_id <= ?3 AND kind = 'escalation' AND stage > 1 AND NOT EXISTS (
				SELECT FROM deadline_events o WHERE o.action_id = e.action_id AND o.period = e.period AND o.kind = 'escalation'
					AND o.stage = e.stage - 1 AND o.fired <= e.fired AND o.planned <= e.planned)`, nil},
		{"I3", "overdue mark differs from the events", "actions", "", `SELECT a.id::text FROM actions a
			LEFT JOIN deadline_events e ON e.action_id = a.id AND e.action_id > ?2 AND e.action_id <= ?3 AND e.period = a.period AND e.kind = 'overdue'
			WHERE a.id > ?2 AND a.id <= ?3 AND a.is_overdue <> (e.id IS NOT NULL)`, nil},
		{"I3", "escalation level differs from the events", "actions", "", `SELECT a.id::text FROM actions a
			LEFT JOIN (SELECT action_id, period, count(*) AS stages FROM deadline_events
				WHERE action_id > ?2 AND action_id <= ?3 AND kind = 'escalation' GROUP BY action_id, period) e ON e.action_id = a.id
			WHERE a.id > ?2 AND a.id <= ?3 GROUP BY a.id
			HAVING a.escalation_level < coalesce(sum(e.stages) FILTER (WHERE e.period = a.period), 0) OR a.escalation_level > coalesce(sum(e.stages), 0)`, nil},
		{"I3", "event taken twice", "actions", "", `SELECT min(id::text) FROM deadline_events WHERE action_id > ?2 AND action_id <= ?3
			GROUP BY action_id, period, kind, stage HAVING count(*) > 1`, nil},
		{"I3", "one firing's events were not taken at one instant", "actions", "", `SELECT action_id::text FROM deadline_events WHERE action_id > ?2 AND action_id <= ?3
			GROUP BY action_id, gen HAVING min(fired) < max(fired)`, nil},
		{"I3", "event of a later gen taken before one of an earlier", "actions", "", `SELECT action_id::text FROM (
				SELECT action_id, fired, lag(fired) OVER (PARTITION BY action_id ORDER BY gen) AS before FROM deadline_events WHERE action_id > ?2 AND action_id <= ?3) e
			WHERE fired < before`, nil},
		{"I4", "event before its time, or lateness not as recorded", "actions", "", `SELECT id::text FROM deadline_events
			WHERE action_id > ?2 AND action_id <= ?3 AND (fired < planned OR late_s <> extract(epoch FROM fired - planned)::bigint)`, nil},
	}
}

// storyChecks are those of messages and the log.
func storyChecks() []check {
	return []check{
		{"I5", "message stuck on its way", "", HealedByMessages, `SELECT id::text FROM messages WHERE state IN ('pending', 'sending') AND next_try_at < ?0 AND not_before < ?1`, nil},
		{"I5", "suppressed message without a reason", "actions", "", `SELECT id::text FROM messages
			WHERE action_id > ?2 AND action_id <= ?3 AND state = 'suppressed' AND suppressed_reason = ''`, nil},
		{"I5", "person told without a message", "actions", "", `SELECT e.action_id::text FROM deadline_events e CROSS JOIN LATERAL jsonb_array_elements_text(e.told) t(id)
			WHERE e.action_id > ?2 AND e.action_id <= ?3 AND e.done IN ('told', 'untargeted') AND NOT EXISTS (
				SELECT FROM actions a WHERE a.id > ?2 AND a.id <= ?3 AND a.id = e.action_id AND a.messages_dropped_at >= e.fired) AND NOT EXISTS (
				SELECT FROM messages m WHERE m.action_id > ?2 AND m.action_id <= ?3 AND m.action_id = e.action_id AND m.recipient_id = t.id::uuid AND m.created_at = e.fired)`, nil},
		{"I6", "action erased, but its words are there", "actions", "", `SELECT id::text FROM actions WHERE id > ?2 AND id <= ?3 AND erased_at > updated_at
			AND (title, description, rejection_reason, action_plan, outcome, hold_reason, complainant_not_informed, metadata) <> ('', '', '', '', '', '', '', '{}')`, nil},
		{"I6", "feedback erased, but its words are there", "feedback", "", `SELECT id::text FROM feedback WHERE id > ?2 AND id <= ?3 AND erased_at IS NOT NULL
			AND ((title, text, metadata, content_hash) <> ('', '', '{}', '') OR raw IS NOT NULL)`, nil},
		{"I6", "log rows not gapless", "actions", "", `SELECT s.id::text, v.no FROM (
				SELECT a.id, a.log_seq, count(l.id) AS rows, coalesce(max(l.seq), 0) AS last,
					count(*) FILTER (WHERE l.log_type = 'created') AS begins, min(l.seq) FILTER (WHERE l.log_type = 'created') AS first,
					coalesce(bool_or(l.row_hash IS NOT DISTINCT FROM a.log_hash) FILTER (WHERE l.seq = a.log_seq), a.log_hash IS NULL) AS known,
					max(l.seq) FILTER (WHERE l.new_status <> '') AS moved, max(l.seq) FILTER (WHERE l.new_status = a.status) AS here
				FROM actions a LEFT JOIN action_logs l ON l.action_id = a.id AND l.action_id > ?2 AND l.action_id <= ?3
				WHERE a.id > ?2 AND a.id <= ?3 GROUP BY a.id) s
			CROSS JOIN LATERAL (VALUES (0, rows <> log_seq OR last <> log_seq), (1, begins <> 1 OR first <> 1),
				(2, NOT known), (3, moved IS NOT NULL AND moved IS DISTINCT FROM here)) v (no, broken)
			WHERE v.broken`,
			[]string{"log begins twice, or without the action's creation", "log's last row is not the one that the action knows", "status differs from the log"}},
	}
}
