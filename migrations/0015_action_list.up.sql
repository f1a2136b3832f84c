-- One index for each order of the list. What the place of an action in the order
-- depends on (what is due soonest was closed long ago) stands before it, and all that
-- can be asked for behind it: then what does not fit is passed over without its row.
-- What is asked for most often stands first, for an entry is taken apart from its front.
-- What a broken-off build left behind is of no use.
DROP INDEX CONCURRENTLY IF EXISTS actions_by_created;
--bun:split
CREATE INDEX CONCURRENTLY actions_by_created ON actions (status, created_at, id)
    INCLUDE (due_at, hospital_id, escalation_level, is_overdue, restricted, severity, source_type, category, department_id, assigned_to, ref);
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_by_due;
--bun:split
CREATE INDEX CONCURRENTLY actions_by_due ON actions (status, severity, due_at, id)
    INCLUDE (created_at, updated_at, hospital_id, escalation_level, is_overdue, restricted, source_type, category, department_id, assigned_to, ref);
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_by_updated;
--bun:split
CREATE INDEX CONCURRENTLY actions_by_updated ON actions (updated_at, id)
    INCLUDE (due_at, hospital_id, escalation_level, is_overdue, restricted, status, severity, source_type, category, department_id, assigned_to, ref);
--bun:split
-- A department's are few enough to be read and sorted.
DROP INDEX CONCURRENTLY IF EXISTS actions_by_department;
--bun:split
CREATE INDEX CONCURRENTLY actions_by_department ON actions (department_id, status, created_at, id)
    INCLUDE (due_at, updated_at, hospital_id, escalation_level, is_overdue, restricted, severity, source_type, category, assigned_to, ref);
--bun:split
-- For the few that are far up.
DROP INDEX CONCURRENTLY IF EXISTS actions_escalated;
--bun:split
CREATE INDEX CONCURRENTLY actions_escalated ON actions (escalation_level) WHERE escalation_level > 0;
--bun:split
DROP INDEX CONCURRENTLY IF EXISTS actions_unassigned;
--bun:split
CREATE INDEX CONCURRENTLY actions_unassigned ON actions (status, severity) WHERE assigned_to IS NULL;
--bun:split
-- An action is due soon after it was made. Those that are not are looked up by
-- themselves; the others of a range of due dates stand together in the order of creation.
DROP INDEX CONCURRENTLY IF EXISTS actions_due_elsewhen;
--bun:split
CREATE INDEX CONCURRENTLY actions_due_elsewhen ON actions (due_at) WHERE due_at - created_at NOT BETWEEN interval '0' AND interval '92 days';
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
