"""How fast this is, as ratios: each task against its rival, with the same weights, machine and run."""
