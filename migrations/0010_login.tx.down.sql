SET LOCAL lock_timeout = '5s';
--bun:split
DROP TABLE sessions;
--bun:split
DROP TABLE credentials;
