"""The offline job that turns a folder of pictures into a new index version; see `python -m indexer --help`."""
