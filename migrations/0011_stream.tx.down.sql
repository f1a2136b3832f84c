SET LOCAL lock_timeout = '5s';
--bun:split
DROP TABLE hooks, stream;
--bun:split
DROP TRIGGER action_logs_place ON action_logs;
--bun:split
DROP FUNCTION action_logs_place();
--bun:split
ALTER TABLE action_logs DROP COLUMN xid;
