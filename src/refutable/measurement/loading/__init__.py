"""From found weights to a model in memory."""
