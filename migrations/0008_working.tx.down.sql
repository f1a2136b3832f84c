SET LOCAL lock_timeout = '5s';
--bun:split
ALTER TABLE deadline_events DROP COLUMN by_hand;
--bun:split
ALTER TABLE actions DROP COLUMN complainant_not_informed;
