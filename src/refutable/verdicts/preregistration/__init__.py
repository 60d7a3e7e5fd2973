"""What was claimed before it was measured: `claims.lock`, and what a verdict may say because of it."""
