"""Data sets: one merged format, what turns other layouts into it, and what looks at it."""
