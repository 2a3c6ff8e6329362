"""What the rivals' own documentation would have one write, on the weights that ours run on."""
