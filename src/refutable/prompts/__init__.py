"""Prompt sets: packaged, in YAML, JSONL or plain text."""
