-- Five rows in the story of each of the actions ?0 to ?1 of ?2, which ended before the
-- crowd's came. Only their log is here: what the program reads is of actions that are.
-- OFFSET 0: what all rows of an action share is worked out once.
INSERT INTO action_logs (id, action_id, seq, log_type, message, created_by, old_status, new_status, metadata, row_hash, created_at, xid)
SELECT (lpad(to_hex(1000 * (a.s + l.after)), 12, '0') || '7' || substr(a.h, 1, 2) || l.seq || 'a' || substr(a.h, 4, 15))::uuid, a.id, l.seq, l.type, l.said,
    CASE WHEN l.hand THEN a.person END, l.old, l.new, l.facts, a.hash, to_timestamp(a.s + l.after), a.xid
FROM (SELECT s, h, (lpad(to_hex(1000 * s), 12, '0') || '7' || substr(h, 1, 3) || 'a' || substr(h, 4, 15))::uuid AS id, decode(h || h, 'hex') AS hash,
        md5('user' || k % 10 || '/' || k % 199)::uuid AS person, (1 + 600 * k / ?2)::text::xid8 AS xid
    FROM (SELECT k, md5(k::text) AS h, date_part('epoch', now() - interval '4000 days')::bigint + 2800 * 86400 * k / ?2 AS s FROM generate_series(?0::bigint, ?1) k OFFSET 0) k OFFSET 0) a
CROSS JOIN (VALUES (1, 0, 'created', 'Action created', false, '', 'open', jsonb '{"severity": "medium"}'),
    (2, 0, 'assignment', 'Assigned to its owner', false, '', '', '{"among": 3}'),
    (3, 86400, 'status_change', 'Work started', true, 'open', 'in_progress', '{"move": "start"}'),
    (4, 172800, 'sla_reminder', 'Reminder: due in 4 hours', false, '', '', '{}'),
    (5, 259200, 'status_change', 'Closed', true, 'approved', 'closed', '{"move": "close"}')) l (seq, after, type, said, hand, old, new, facts)
