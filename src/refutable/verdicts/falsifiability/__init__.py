"""TODO falsifiability."""
