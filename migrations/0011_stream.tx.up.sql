SET LOCAL lock_timeout = '5s';
--bun:split
-- Where a log row stands in the stream of changes; NULL: older than the stream.
-- The default comes after the column, so that no row is written anew.
ALTER TABLE action_logs ADD COLUMN xid xid8;
--bun:split
ALTER TABLE action_logs ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
--bun:split
-- A row stands where its transaction does, but never before an earlier row of
-- its action: a transaction may have begun before the one whose row it saw.
-- A session keeps its plan, which it may have made while the table was small:
-- written so that the index on (action_id, seq) is the plan at any size.
CREATE FUNCTION action_logs_place() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    NEW.xid := greatest(NEW.xid, (SELECT xid FROM action_logs
        WHERE action_id = NEW.action_id AND seq < NEW.seq ORDER BY seq DESC LIMIT 1));
    RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER action_logs_place BEFORE INSERT ON action_logs FOR EACH ROW WHEN (NEW.seq > 1) EXECUTE FUNCTION action_logs_place();
--bun:split
-- The one stream. A restored database goes on under another epoch, so that no
-- cursor of before is taken for one of it.
CREATE TABLE stream (
    only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT stream_only_row CHECK (only_row),
    epoch    text NOT NULL,
    cluster  bigint NOT NULL
);
--bun:split
INSERT INTO stream (epoch, cluster) SELECT left(md5(gen_random_uuid()::text), 8), system_identifier FROM pg_control_system();
--bun:split
-- Programs that hear of changes by webhook.
CREATE TABLE hooks (
    id                 uuid PRIMARY KEY,
    name               text NOT NULL CONSTRAINT hooks_name_format CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,39}$'),
    url                text NOT NULL,
    secret             text NOT NULL,
    source_system      text NOT NULL DEFAULT '',
    hospitals          jsonb NOT NULL DEFAULT '[]',
    include_restricted boolean NOT NULL DEFAULT false,
    active             boolean NOT NULL DEFAULT true,
    cursor_epoch       text NOT NULL,
    cursor_xid         xid8 NOT NULL,
    cursor_action_id   uuid NOT NULL,
    cursor_seq         integer NOT NULL,
    claims             bigint NOT NULL DEFAULT 0,
    claimed_until      timestamptz,
    failures           integer NOT NULL DEFAULT 0,
    next_try_at        timestamptz,
    last_error         text NOT NULL DEFAULT '',
    last_ok_at         timestamptz,
    created_by         text NOT NULL,
    created_at         timestamptz NOT NULL,
    deleted_at         timestamptz,
    CONSTRAINT hooks_deleted_rest CHECK (deleted_at IS NULL OR NOT active)
);
--bun:split
CREATE UNIQUE INDEX hooks_name_key ON hooks (name) WHERE deleted_at IS NULL;
