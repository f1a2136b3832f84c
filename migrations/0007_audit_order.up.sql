-- What a broken-off build left behind is of no use.
DROP INDEX CONCURRENTLY IF EXISTS action_logs_in_time;
--bun:split
CREATE INDEX CONCURRENTLY action_logs_in_time ON action_logs (created_at, action_id, seq);
