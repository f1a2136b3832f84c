-- One index for each order of the list. What the place of an action in the order
-- depends on (what is due soonest was closed long ago) stands before it, and all that
-- can be asked for behind it: then what does not fit is passed over without its row.
-- What a broken-off build left behind is of no use.
DROP INDEX CONCURRENTLY IF EXISTS actions_by_created;
--bun:split
CREATE INDEX CONCURRENTLY actions_by_created ON actions (status, created_at, id)
    INCLUDE (severity, due_at, hospital_id, department_id, assigned_to, source_type, category, is_overdue, escalation_level, restricted);
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_by_due;
--bun:split
CREATE INDEX CONCURRENTLY actions_by_due ON actions (status, severity, due_at, id)
    INCLUDE (hospital_id, department_id, assigned_to, source_type, category, is_overdue, escalation_level, restricted);
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_by_updated;
--bun:split
CREATE INDEX CONCURRENTLY actions_by_updated ON actions (updated_at, id)
    INCLUDE (status, severity, due_at, hospital_id, department_id, assigned_to, source_type, category, is_overdue, escalation_level, restricted);
--bun:split
-- A department's are few enough to be read and sorted.
DROP INDEX CONCURRENTLY IF EXISTS actions_by_department;
--bun:split
CREATE INDEX CONCURRENTLY actions_by_department ON actions (department_id, status, created_at, id)
    INCLUDE (severity, due_at, updated_at, hospital_id, assigned_to, source_type, category, is_overdue, escalation_level, restricted);
--bun:split
-- For the few that are far up.
DROP INDEX CONCURRENTLY IF EXISTS actions_escalated;
--bun:split
CREATE INDEX CONCURRENTLY actions_escalated ON actions (escalation_level) WHERE escalation_level > 0;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_involved;
--bun:split
CREATE INDEX CONCURRENTLY actions_involved ON actions USING gin (involved_users jsonb_path_ops) WHERE involved_users <> '[]';
--bun:split
-- Those that these stand in for.
DROP INDEX CONCURRENTLY IF EXISTS actions_status_created;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_created;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_department_status_created;
