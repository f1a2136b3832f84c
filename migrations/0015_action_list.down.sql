CREATE INDEX CONCURRENTLY IF NOT EXISTS actions_department_status_created ON actions (department_id, status, created_at DESC, id DESC);
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_by_department;
--bun:split
CREATE INDEX CONCURRENTLY IF NOT EXISTS actions_status_created ON actions (status, created_at DESC, id DESC);
--bun:split
CREATE INDEX CONCURRENTLY IF NOT EXISTS actions_created ON actions (created_at DESC, id DESC);
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_involved;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_due_elsewhen;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_unassigned;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_escalated;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_by_updated;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_by_due;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_by_created;
