"""TODO instrument."""
