SET LOCAL lock_timeout = '5s';
--bun:split
DROP TABLE audit_days;
--bun:split
ALTER TABLE actions DROP COLUMN log_hash;
--bun:split
ALTER TABLE action_logs DROP COLUMN row_hash;
