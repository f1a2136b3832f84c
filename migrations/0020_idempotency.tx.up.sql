-- What was asked for under an Idempotency-Key, so that a repeat does nothing again.
SET LOCAL lock_timeout = '5s';
--bun:split
CREATE TABLE idempotency_keys (
    scope        text NOT NULL,
    key          text NOT NULL,
    request_hash bytea NOT NULL,
    action_id    uuid NOT NULL CONSTRAINT idempotency_keys_action_id_fkey REFERENCES actions ON DELETE RESTRICT,
    version      bigint NOT NULL,
    status       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (scope, key),
    CONSTRAINT idempotency_keys_key_length CHECK (length(key) BETWEEN 1 AND 200)
);
--bun:split
COMMENT ON TABLE idempotency_keys IS 'scope: API key and person; version and status: of the action after the move; created_at: machine time';
--bun:split
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
