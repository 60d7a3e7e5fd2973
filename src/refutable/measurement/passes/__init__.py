"""One file per pass over a model; each pass leaves a trace."""
