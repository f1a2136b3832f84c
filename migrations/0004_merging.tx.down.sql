ALTER TABLE actions DROP COLUMN linked_to;
