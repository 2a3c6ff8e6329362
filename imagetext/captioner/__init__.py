"""Captioning: network, beam search and the engine that joins them with a picture network."""
