"""One file for each pass over a model; what a pass leaves is a trace."""
