"""What a pass leaves, the store that keeps it under a hash of all that determines it, and the catalogue of passes."""
