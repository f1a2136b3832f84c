-- The hash of a content tells a repeat from something else. Once the words are erased it
-- would only let them be guessed, and it goes with them.
SET LOCAL lock_timeout = '5s';
--bun:split
-- By the database, so that the release before this one, too, does so. An id that the
-- intake has made of such a hash, for an event without one, goes the same way; its mark
-- stays, which no sender may write.
CREATE FUNCTION feedback_forget_hash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.content_hash := '';
    IF starts_with(NEW.event_id, 'sha256:') THEN
        NEW.event_id := 'sha256:erased:' || NEW.id;
    END IF;
    RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER feedback_forget_hash BEFORE UPDATE OF erased_at ON feedback FOR EACH ROW
    WHEN (NEW.erased_at IS NOT NULL) EXECUTE FUNCTION feedback_forget_hash();
--bun:split
-- An earlier content is changed by its erasure only.
CREATE FUNCTION feedback_revisions_forget_hash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.content_hash := '';
    RETURN NEW;
END $$;
--bun:split
CREATE TRIGGER feedback_revisions_forget_hash BEFORE UPDATE OF content ON feedback_revisions FOR EACH ROW
    EXECUTE FUNCTION feedback_revisions_forget_hash();
