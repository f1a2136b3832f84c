DROP INDEX IF EXISTS feedback_with_words;
--bun:split
DROP INDEX IF EXISTS actions_with_messages;
--bun:split
DROP INDEX IF EXISTS actions_with_words;
