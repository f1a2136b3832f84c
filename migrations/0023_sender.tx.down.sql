SET LOCAL lock_timeout = '5s';
--bun:split
ALTER TABLE feedback DROP COLUMN request_id;
--bun:split
ALTER TABLE feedback DROP COLUMN sent_key;
--bun:split
ALTER TABLE feedback DROP COLUMN sent_by;
