-- What a broken-off build left behind is of no use.
DROP INDEX CONCURRENTLY IF EXISTS actions_linked;
--bun:split
CREATE INDEX CONCURRENTLY actions_linked ON actions (linked_to) WHERE linked_to IS NOT NULL;
