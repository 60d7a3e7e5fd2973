"""The one error of the twins: what is wrong, what is allowed, what to do."""


class TwinsError(Exception):
    """Something asked for cannot be done; the message is for the reader."""
