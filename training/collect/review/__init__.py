"""A person says of each found picture whether it shows its sentence."""
