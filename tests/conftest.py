"""The engine's tests: is the engine right? Run with ``pytest tests``; warnings are errors here."""
