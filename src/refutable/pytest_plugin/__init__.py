"""Hooks and options, loaded by `refutable.plugin` only where a claims file is configured."""
