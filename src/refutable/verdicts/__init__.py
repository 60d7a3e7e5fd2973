"""From an estimate and a prediction to a verdict, with its labels, controls and variations."""
