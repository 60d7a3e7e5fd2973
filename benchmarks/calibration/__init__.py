"""How often each statistic's verdicts err at the boundary of a prediction, inside and outside its assumptions."""
