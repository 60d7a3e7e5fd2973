"""Measuring, the only room that imports torch. Nothing here judges."""
