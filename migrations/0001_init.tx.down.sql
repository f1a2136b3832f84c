ALTER TABLE actions DROP CONSTRAINT actions_feedback_id_fkey;
--bun:split
DROP TABLE sweeps, api_keys, messages, action_attachments, log_texts, action_logs, deadline_events, feedback, actions;
--bun:split
DROP SEQUENCE action_ref_seq;
--bun:split
DROP TABLE routing_rules, sla_configs, policy_revisions, surveys;
--bun:split
ALTER TABLE users DROP CONSTRAINT users_department_id_fkey;
--bun:split
DROP TABLE departments, users, hospitals, directory_version, clock;
