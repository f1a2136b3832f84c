SET LOCAL lock_timeout = '5s';
--bun:split
-- Log rows are chained, action by action; rows that are there already are not.
ALTER TABLE action_logs ADD COLUMN row_hash bytea;
--bun:split
ALTER TABLE actions ADD COLUMN log_hash bytea;
--bun:split
-- What the log rows of a day came to, chained to the day before.
CREATE TABLE audit_days (
    day        date PRIMARY KEY,
    rows       bigint NOT NULL,
    hash       bytea NOT NULL,
    created_at timestamptz NOT NULL
);
