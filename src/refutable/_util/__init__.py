"""What knows nothing of transformers, statistics or claims."""
