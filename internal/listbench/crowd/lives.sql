-- What a crowd of actions has lived through, so that every invariant holds: for
-- each a feedback and four log rows in a chain, and the deadline events that are
-- past, with the messages that told of them.
SET session_replication_role = replica;
--bun:split
-- An id of an instant, as the program gives them: what was made together lies together.
CREATE FUNCTION pg_temp.id(at timestamptz, of text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(of), 1, 3) || 'a' || substr(md5(of), 4, 15))::uuid
$$;
--bun:split
CREATE FUNCTION pg_temp.link(before bytea, action uuid, seq int, type text, said text, old text, new text, at timestamptz) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(before || convert_to(format('["%s",%s,"%s","%s","","%s","%s",{},"","%s"]', action, seq, type, said, old, new,
        to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), 'UTF8'))
$$;
--bun:split
INSERT INTO action_logs (id, action_id, seq, log_type, message, old_status, new_status, created_at)
SELECT pg_temp.id(a.created_at, a.id || '/' || l.seq), a.id, l.seq, l.type, l.said, l.old, l.new, a.created_at
FROM actions a CROSS JOIN LATERAL (VALUES (1, 'created', 'Created', '', 'open'), (2, 'assignment', 'Assigned', '', ''),
    (3, 'status_change', 'Started', 'open', 'in_progress'), (4, 'status_change', 'Moved', 'in_progress', a.status)) l (seq, type, said, old, new)
ORDER BY a.id, l.seq;
--bun:split
UPDATE action_logs SET row_hash = pg_temp.link(sha256(convert_to('px action log 1 ' || action_id || ' 0', 'UTF8')), action_id, seq, log_type, message, old_status, new_status, created_at) WHERE seq = 1;
--bun:split
UPDATE action_logs l SET row_hash = pg_temp.link(b.row_hash, l.action_id, l.seq, l.log_type, l.message, l.old_status, l.new_status, l.created_at) FROM action_logs b WHERE b.action_id = l.action_id AND b.seq = 1 AND l.seq = 2;
--bun:split
UPDATE action_logs l SET row_hash = pg_temp.link(b.row_hash, l.action_id, l.seq, l.log_type, l.message, l.old_status, l.new_status, l.created_at) FROM action_logs b WHERE b.action_id = l.action_id AND b.seq = 2 AND l.seq = 3;
--bun:split
UPDATE action_logs l SET row_hash = pg_temp.link(b.row_hash, l.action_id, l.seq, l.log_type, l.message, l.old_status, l.new_status, l.created_at) FROM action_logs b WHERE b.action_id = l.action_id AND b.seq = 3 AND l.seq = 4;
--bun:split
-- Most live ones wait for their deadline; who is late has been told by every stage.
UPDATE actions a SET feedback_id = pg_temp.id(a.created_at, 'feedback' || a.id), gen = 10, armed_gen = 10, acked_at = a.assigned_at, log_hash = l.row_hash,
    due_at = CASE WHEN b.waits THEN date_trunc('second', now()) + abs(hashtext(a.id::text)) % 720 * interval '1 hour' + interval '2 hours' ELSE a.due_at END,
    is_overdue = b.late, escalation_level = CASE WHEN b.late AND b.live THEN b.stages WHEN b.late THEN a.escalation_level ELSE 0 END,
    next_at = CASE WHEN b.waits THEN date_trunc('second', now()) + abs(hashtext(a.id::text)) % 720 * interval '1 hour' + interval '2 hours' END,
    next_kind = CASE WHEN b.waits THEN 'overdue' END, next_stage = CASE WHEN b.waits THEN 0 END
FROM action_logs l JOIN (SELECT id, live, waits, NOT waits AND (live OR is_overdue) AS late, CASE severity WHEN 'low' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END AS stages
    FROM (SELECT id, severity, is_overdue, status NOT IN ('closed', 'cancelled') AS live, status IN ('open', 'in_progress') AND hashtext(id::text) % 5 <> 0 AS waits FROM actions) c) b ON b.id = l.action_id
WHERE l.action_id = a.id AND l.seq = 4;
--bun:split
-- The update wrote them in the order of its join.
CLUSTER actions USING actions_pkey;
--bun:split
INSERT INTO feedback (id, source_system, event_id, content_hash, source_type, hospital_id, department_id, kind, title, text, received_at, heal_after, created_at,
    decision, reason, action_id, decided_at)
SELECT a.feedback_id, 'crowd', a.ref, sha256(convert_to(a.ref, 'UTF8')), a.source_type, a.hospital_id, a.department_id, 'complaint', a.title, a.description,
    a.received_at, a.received_at, a.created_at, 'created', 'complaint', a.id, a.created_at FROM actions a ORDER BY a.id;
--bun:split
INSERT INTO deadline_events (id, action_id, period, kind, stage, planned, fired, late_s, done, told, gen)
SELECT pg_temp.id(e.at, a.id || '/' || e.kind || e.stage), a.id, 1, e.kind, e.stage, e.at, e.at, 0, 'told', jsonb_build_array(coalesce(a.assigned_to, u.id)), 4 + e.no
FROM actions a CROSS JOIN LATERAL (SELECT 0 AS no, 'reminder' AS kind, 1 AS stage, a.due_at - interval '4 hours' AS at
    UNION ALL SELECT 1, 'overdue', 0, a.due_at WHERE a.is_overdue
    UNION ALL SELECT 1 + k, 'escalation', k, a.due_at + k * interval '2 hours' FROM generate_series(1, a.escalation_level) k) e
CROSS JOIN (SELECT id FROM users ORDER BY id LIMIT 1) u ORDER BY a.id, e.no;
--bun:split
INSERT INTO messages (id, action_id, event_id, action_version, recipient_id, channel, reason, facts, state, not_before, attempts, key, sent_at, created_at)
SELECT pg_temp.id(e.fired, 'message' || e.id), e.action_id, e.id, e.gen, (e.told->>0)::uuid, 'email', e.kind, '{}', 'sent', e.fired, 1, e.id::text, e.fired, e.fired
FROM deadline_events e ORDER BY e.action_id, e.gen;
--bun:split
SET session_replication_role = origin;
