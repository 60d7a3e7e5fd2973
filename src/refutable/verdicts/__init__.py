"""From an estimate and a prediction to a verdict, and what is said beside it."""
