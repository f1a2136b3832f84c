-- A source system may correct a feedback, or take it back. What it said before
-- is kept, with what was decided of it.
SET LOCAL lock_timeout = '5s';
--bun:split
ALTER TABLE feedback
    ADD COLUMN revision integer NOT NULL DEFAULT 0,
    ADD COLUMN revised_at timestamptz,
    ADD COLUMN retracted_at timestamptz,
    ADD COLUMN retract_reason text NOT NULL DEFAULT '';
--bun:split
ALTER TABLE feedback ADD CONSTRAINT feedback_retract_reason_check
    CHECK (retract_reason IN ('', 'duplicate', 'entered_in_error', 'withdrawn', 'other') AND (retract_reason = '') = (retracted_at IS NULL)) NOT VALID;
--bun:split
-- What could not be mapped may be taken back, too.
ALTER TABLE feedback DROP CONSTRAINT feedback_mapped;
--bun:split
ALTER TABLE feedback ADD CONSTRAINT feedback_mapped
    CHECK (decision IS NOT DISTINCT FROM 'quarantined' OR retracted_at IS NOT NULL OR (source_type IS NOT NULL AND hospital_id IS NOT NULL)) NOT VALID;
--bun:split
CREATE TABLE feedback_revisions (
    feedback_id     uuid NOT NULL CONSTRAINT feedback_revisions_feedback_id_fkey REFERENCES feedback ON DELETE RESTRICT,
    revision        integer NOT NULL CONSTRAINT feedback_revisions_not_negative CHECK (revision >= 0),
    content_hash    bytea NOT NULL,
    content         jsonb NOT NULL,
    decision        text,
    reason          text NOT NULL DEFAULT '',
    decided_at      timestamptz,
    policy_revision bigint,
    replaced_at     timestamptz NOT NULL,
    CONSTRAINT feedback_revisions_pkey PRIMARY KEY (feedback_id, revision)
);
--bun:split
-- The story tells of it by a type of its own. The rows that are there fulfilled a
-- narrower check: they need not be read again.
ALTER TABLE action_logs DROP CONSTRAINT action_logs_log_type_check;
--bun:split
ALTER TABLE action_logs ADD CONSTRAINT action_logs_log_type_check CHECK (log_type IN ('status_change', 'assignment', 'escalation', 'note', 'evidence', 'approval', 'sla_reminder', 'created', 'merged', 'overdue', 'plan_change', 'hold', 'resume', 'ack_missed', 'revised')) NOT VALID;
