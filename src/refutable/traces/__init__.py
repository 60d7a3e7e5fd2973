"""What a pass leaves, and where it is kept: float32 primitives under a hash of all that determines them."""
