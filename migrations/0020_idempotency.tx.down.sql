SET LOCAL lock_timeout = '5s';
--bun:split
DROP TABLE idempotency_keys;
