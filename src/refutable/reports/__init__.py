"""Output for people and machines: the terminal, pages, the journal; `formats/` has one file per format."""
