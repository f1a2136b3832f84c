-- What working an action adds: why a complainant was not informed, and which
-- stages a person took before the plan did.
SET LOCAL lock_timeout = '5s';
--bun:split
ALTER TABLE actions ADD COLUMN complainant_not_informed text NOT NULL DEFAULT '';
--bun:split
ALTER TABLE deadline_events ADD COLUMN by_hand boolean NOT NULL DEFAULT false;
