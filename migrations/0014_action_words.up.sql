-- Actions that were there before their words were kept; again, if it was broken off.
INSERT INTO action_words (action_id, words)
SELECT id, action_words_of(ref, title, description) FROM actions a
WHERE NOT EXISTS (SELECT FROM action_words w WHERE w.action_id = a.id) ON CONFLICT DO NOTHING;
--bun:split
-- What a broken-off build left behind is of no use.
DROP INDEX CONCURRENTLY IF EXISTS action_words_words;
--bun:split
CREATE INDEX CONCURRENTLY action_words_words ON action_words USING gin (words);
