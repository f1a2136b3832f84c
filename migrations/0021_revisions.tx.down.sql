SET LOCAL lock_timeout = '5s';
--bun:split
ALTER TABLE action_logs DROP CONSTRAINT action_logs_log_type_check;
--bun:split
ALTER TABLE action_logs ADD CONSTRAINT action_logs_log_type_check CHECK (log_type IN ('status_change', 'assignment', 'escalation', 'note', 'evidence', 'approval', 'sla_reminder', 'created', 'merged', 'overdue', 'plan_change', 'hold', 'resume', 'ack_missed')) NOT VALID;
--bun:split
DROP TABLE feedback_revisions;
--bun:split
ALTER TABLE feedback DROP CONSTRAINT feedback_mapped;
--bun:split
ALTER TABLE feedback ADD CONSTRAINT feedback_mapped
    CHECK (decision IS NOT DISTINCT FROM 'quarantined' OR (source_type IS NOT NULL AND hospital_id IS NOT NULL)) NOT VALID;
--bun:split
ALTER TABLE feedback
    DROP CONSTRAINT feedback_retract_reason_check,
    DROP COLUMN revision,
    DROP COLUMN revised_at,
    DROP COLUMN retracted_at,
    DROP COLUMN retract_reason;
