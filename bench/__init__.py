"""How fast this is, in ratios: each work against its rival on the same weights, machine and run."""
