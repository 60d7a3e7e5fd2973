"""What claims are about: the model registry, facts of architecture, and where weights are found."""
