"""The tasks that are measured; each prepares both sides of a contest."""
