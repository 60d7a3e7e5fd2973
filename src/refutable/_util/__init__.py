"""Helpers that know nothing about transformers, statistics or claims."""
