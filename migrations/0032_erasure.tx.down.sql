SET LOCAL lock_timeout = '5s';
--bun:split
ALTER TABLE action_attachments DROP COLUMN erased_at;
--bun:split
ALTER TABLE feedback DROP COLUMN erased_at;
--bun:split
ALTER TABLE actions
    DROP COLUMN messages_dropped_at,
    DROP COLUMN erased_at,
    DROP COLUMN legal_hold_at;
