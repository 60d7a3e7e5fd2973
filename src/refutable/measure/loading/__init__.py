"""TODO loading."""
