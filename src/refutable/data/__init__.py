"""Data that the package carries: the model registry and the prompt sets."""
