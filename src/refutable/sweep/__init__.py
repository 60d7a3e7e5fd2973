"""Measuring apart from judging: every pass that claims read, planned, cut into shards and made by several processes."""
