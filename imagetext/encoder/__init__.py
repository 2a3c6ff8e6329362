"""Encoding pictures and texts into one space: the compact dual encoder, CLIP, and how either is loaded."""
