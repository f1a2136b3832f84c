-- Who changed people and places over HTTP: which entries, not what stood in them.
SET LOCAL lock_timeout = '5s';
--bun:split
CREATE TABLE directory_changes (
    id         uuid PRIMARY KEY,
    kind       text NOT NULL CONSTRAINT directory_changes_kind_check CHECK (kind IN ('hospitals', 'departments', 'users')),
    codes      jsonb NOT NULL,
    created    integer NOT NULL,
    changed    integer NOT NULL,
    key_id     uuid NOT NULL CONSTRAINT directory_changes_key_id_fkey REFERENCES api_keys ON DELETE RESTRICT,
    person_id  uuid CONSTRAINT directory_changes_person_id_fkey REFERENCES users ON DELETE RESTRICT,
    request_id text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL
);
--bun:split
CREATE INDEX directory_changes_created ON directory_changes (created_at DESC, id DESC);
