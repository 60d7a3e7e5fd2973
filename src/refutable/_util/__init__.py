"""TODO _util."""
