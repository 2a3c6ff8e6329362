"""The rivals, written as their own documentation recommends, on the same weights as ours."""
