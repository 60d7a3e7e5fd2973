"""Pre-registration: `claims.lock`, and whether a verdict is confirmatory."""
