"""TODO preregistration."""
