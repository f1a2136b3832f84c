SET LOCAL lock_timeout = '5s';
--bun:split
-- The words by which an action is found. Apart from the action, whose row is written
-- anew at each of its moves, and with it every entry of its indexes.
CREATE TABLE action_words (
    action_id uuid PRIMARY KEY CONSTRAINT action_words_action_id_fkey REFERENCES actions ON DELETE CASCADE,
    words     tsvector NOT NULL
);
--bun:split
-- Words as they are, in any language. A database may not know the capitals beyond
-- ASCII, and a tsvector holds no more than so much.
CREATE FUNCTION action_words_of(ref text, title text, description text) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$
    SELECT to_tsvector('simple', translate(left(ref || ' ' || title || ' ' || description, 50000), 'ÄÖÜÀÂÇÉÈÊËÎÏÔÙÛ', 'äöüàâçéèêëîïôùû'))
$$;
--bun:split
CREATE FUNCTION action_words_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO action_words (action_id, words) SELECT id, action_words_of(ref, title, description) FROM made;
    RETURN NULL;
END $$;
--bun:split
CREATE FUNCTION action_words_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO action_words (action_id, words) VALUES (NEW.id, action_words_of(NEW.ref, NEW.title, NEW.description))
        ON CONFLICT (action_id) DO UPDATE SET words = EXCLUDED.words;
    RETURN NULL;
END $$;
--bun:split
-- By the database, so that the release before this one, too, keeps them.
CREATE TRIGGER action_words_insert AFTER INSERT ON actions REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION action_words_insert();
--bun:split
CREATE TRIGGER action_words_update AFTER UPDATE OF ref, title, description ON actions FOR EACH ROW
    WHEN ((OLD.ref, OLD.title, OLD.description) IS DISTINCT FROM (NEW.ref, NEW.title, NEW.description))
    EXECUTE FUNCTION action_words_update();
--bun:split
-- The list reads indexes alone, which it can where vacuum has been lately; and it goes
-- by what the planner has counted.
ALTER TABLE actions SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
