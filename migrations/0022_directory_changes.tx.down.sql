SET LOCAL lock_timeout = '5s';
--bun:split
DROP TABLE directory_changes;
