"""The history of the schema. A published migration is never edited: a change is a new one."""
