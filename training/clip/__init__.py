"""CLIP models: fine-tuned from any CLIP folder, and trained from scratch; see `python -m training.clip --help`."""
