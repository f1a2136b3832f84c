-- An action may tell more of what an earlier one is about.
SET LOCAL lock_timeout = '5s';
--bun:split

ALTER TABLE actions ADD COLUMN linked_to uuid CONSTRAINT actions_linked_to_fkey REFERENCES actions ON DELETE RESTRICT;
