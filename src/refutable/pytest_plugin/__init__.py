"""Hooks and options, loaded by `refutable.plugin` only if a claims file is configured."""
