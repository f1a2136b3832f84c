SET LOCAL lock_timeout = '5s';
--bun:split
ALTER TABLE actions DROP COLUMN linked_to;
