"""Flat illustration: every function returns a piece of SVG text, in its own units, standing on y = 0."""
