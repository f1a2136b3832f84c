-- What a broken-off build left behind is of no use.
DROP INDEX CONCURRENTLY IF EXISTS action_logs_in_stream;
--bun:split
CREATE INDEX CONCURRENTLY action_logs_in_stream ON action_logs (xid, action_id, seq) WHERE xid IS NOT NULL;
