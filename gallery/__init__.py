"""A seeded generator of illustrated scenes with true sentences."""
