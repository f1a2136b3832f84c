-- An action may tell more of what an earlier one is about.
ALTER TABLE actions ADD COLUMN linked_to uuid CONSTRAINT actions_linked_to_fkey REFERENCES actions ON DELETE RESTRICT;
