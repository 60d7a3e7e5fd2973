"""From an estimate and a prediction to a verdict; `evidence` calls it, one file for each kind of claim."""
