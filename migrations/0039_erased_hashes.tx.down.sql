SET LOCAL lock_timeout = '5s';
--bun:split
DROP TRIGGER feedback_revisions_forget_hash ON feedback_revisions;
--bun:split
DROP FUNCTION feedback_revisions_forget_hash;
--bun:split
DROP TRIGGER feedback_forget_hash ON feedback;
--bun:split
DROP FUNCTION feedback_forget_hash;
