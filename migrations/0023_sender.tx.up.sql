-- Who sent a feedback, for the log of the action that it becomes.
SET LOCAL lock_timeout = '5s';
--bun:split
ALTER TABLE feedback ADD COLUMN sent_by uuid CONSTRAINT feedback_sent_by_fkey REFERENCES users ON DELETE RESTRICT;
--bun:split
ALTER TABLE feedback ADD COLUMN sent_key uuid CONSTRAINT feedback_sent_key_fkey REFERENCES api_keys ON DELETE RESTRICT;
--bun:split
ALTER TABLE feedback ADD COLUMN request_id text NOT NULL DEFAULT '';
