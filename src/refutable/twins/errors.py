"""The one error of the twins: what is wrong, what is allowed, what to do."""

from refutable.errors import BadInput


class TwinsError(BadInput):
    """Something asked for cannot be done; the message is for the reader."""
