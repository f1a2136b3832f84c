DROP INDEX CONCURRENTLY IF EXISTS feedback_with_words;
--bun:split
CREATE INDEX CONCURRENTLY feedback_with_words ON feedback (decided_at, id) WHERE decision = 'ignored' AND erased_at IS NULL;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS feedback_ended_with_words;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS feedback_revisions_subject;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS feedback_subject;
