"""What an evaluation found, as tables and as a page with pictures."""
