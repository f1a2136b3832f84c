-- What is held about a patient or visit is looked up by its key. An action is found by
-- its feedback: one index less to write at each of its moves.
-- What a broken-off build left behind is of no use.
DROP INDEX CONCURRENTLY IF EXISTS feedback_subject;
--bun:split
CREATE INDEX CONCURRENTLY feedback_subject ON feedback (subject_key) WHERE subject_key <> '';
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS feedback_revisions_subject;
--bun:split
CREATE INDEX CONCURRENTLY feedback_revisions_subject ON feedback_revisions ((content->>'subject_key')) WHERE content->>'subject_key' <> '';
--bun:split
-- Feedback without an action that still has its words, in the order of its end: what is
-- quarantined, too. It serves the release before, which asks for what was ignored.
DROP INDEX CONCURRENTLY IF EXISTS feedback_ended_with_words;
--bun:split
CREATE INDEX CONCURRENTLY feedback_ended_with_words ON feedback (decided_at, id) WHERE decision IN ('ignored', 'quarantined') AND erased_at IS NULL;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS feedback_with_words;
