-- What has ended and still has its words, or its messages, in the order of its end. What
-- was written since the last time counts again.
-- What a broken-off build left behind is of no use.
DROP INDEX CONCURRENTLY IF EXISTS actions_with_words;
--bun:split
CREATE INDEX CONCURRENTLY actions_with_words ON actions (coalesce(closed_at, updated_at), id)
    WHERE status IN ('closed', 'cancelled') AND legal_hold_at IS NULL AND (erased_at IS NULL OR erased_at <= updated_at);
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_with_messages;
--bun:split
CREATE INDEX CONCURRENTLY actions_with_messages ON actions (coalesce(closed_at, updated_at), id)
    WHERE status IN ('closed', 'cancelled') AND legal_hold_at IS NULL AND (messages_dropped_at IS NULL OR messages_dropped_at <= updated_at);
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS feedback_with_words;
--bun:split
CREATE INDEX CONCURRENTLY feedback_with_words ON feedback (decided_at, id) WHERE decision = 'ignored' AND erased_at IS NULL;
