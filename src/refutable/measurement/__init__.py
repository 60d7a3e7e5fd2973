"""Measuring: the only part of this project that imports torch. Nothing here judges."""
