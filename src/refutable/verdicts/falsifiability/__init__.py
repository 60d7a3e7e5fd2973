"""Can a claim fail? Whether the sample can decide it, and whether any data at all would satisfy it."""
