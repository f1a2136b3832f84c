-- Words may be erased, and old messages dropped, once an action has ended; not while
-- a legal hold is on it. All instants are domain time.
SET LOCAL lock_timeout = '5s';
--bun:split
ALTER TABLE actions
    ADD COLUMN legal_hold_at timestamptz,
    ADD COLUMN erased_at timestamptz,
    ADD COLUMN messages_dropped_at timestamptz;
--bun:split
ALTER TABLE feedback ADD COLUMN erased_at timestamptz;
--bun:split
ALTER TABLE action_attachments ADD COLUMN erased_at timestamptz;
