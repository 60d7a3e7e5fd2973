"""What is written for people and machines: the terminal, pages, the journal, and `formats/`, one file for each format."""
