-- Five messages about each of the actions ?0 to ?1 of ?2, which ended before the
-- crowd's came; one of 10,000 messages has failed. Facts are left out, as the disk is
-- finite: nothing looks for a message by them.
-- OFFSET 0: what all rows of an action share is worked out once.
INSERT INTO messages (id, action_id, event_id, action_version, recipient_id, channel, reason, facts, state, not_before, attempts, last_error, key, sent_at, created_at)
SELECT m.id::uuid, a.id, m.id::uuid, l.no, a.person, 'email', l.reason, '{}', CASE WHEN f.failed THEN 'failed' ELSE 'sent' END, m.at, 1,
    CASE WHEN f.failed THEN 'refused' ELSE '' END, 'px_' || m.id, CASE WHEN NOT f.failed THEN m.at END, m.at
FROM (SELECT k, s, h, (lpad(to_hex(1000 * s), 12, '0') || '7' || substr(h, 1, 3) || 'a' || substr(h, 4, 15))::uuid AS id, md5('user' || k % 10 || '/' || k % 199)::uuid AS person
    FROM (SELECT k, md5(k::text) AS h, date_part('epoch', now() - interval '4000 days')::bigint + 2800 * 86400 * k / ?2 AS s FROM generate_series(?0::bigint, ?1) k OFFSET 0) k OFFSET 0) a
CROSS JOIN (VALUES (1, 0, 'assigned'), (2, 86400, 'reminder'), (3, 172800, 'overdue'), (4, 259200, 'escalation'), (5, 345600, 'escalation')) l (no, after, reason)
CROSS JOIN LATERAL (SELECT lpad(to_hex(1000 * (a.s + l.after)), 12, '0') || '7' || substr(a.h, 1, 2) || l.no || 'a' || substr(a.h, 4, 15) AS id, to_timestamp(a.s + l.after) AS at OFFSET 0) m
CROSS JOIN LATERAL (SELECT l.no = 5 AND a.k % 2000 = 0 AS failed) f
