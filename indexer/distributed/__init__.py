"""The same stages as in one process, on a Ray cluster: read and decode, encode, write parts; then one merge."""
