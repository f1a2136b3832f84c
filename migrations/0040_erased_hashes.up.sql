-- What was erased before its hash went, too: the trigger does the work. Again, if it was
-- broken off.
UPDATE feedback SET erased_at = erased_at WHERE erased_at IS NOT NULL AND content_hash <> '';
--bun:split
UPDATE feedback_revisions SET content = content WHERE NOT jsonb_exists_any(content, ARRAY['title', 'text', 'metadata', 'raw']) AND content_hash <> '';
