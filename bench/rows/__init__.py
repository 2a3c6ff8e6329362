"""The works that are measured; each prepares both sides of a contest."""
