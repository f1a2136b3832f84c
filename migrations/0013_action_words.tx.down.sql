SET LOCAL lock_timeout = '5s';
--bun:split
ALTER TABLE actions RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor, autovacuum_analyze_scale_factor);
--bun:split
DROP TRIGGER action_words_update ON actions;
--bun:split
DROP TRIGGER action_words_insert ON actions;
--bun:split
DROP TABLE action_words;
--bun:split
DROP FUNCTION action_words_update();
--bun:split
DROP FUNCTION action_words_insert();
--bun:split
DROP FUNCTION action_words_of(text, text, text);
