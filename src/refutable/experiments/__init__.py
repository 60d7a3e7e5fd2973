"""Recorded experiments: tables of outcomes by cell and seed, which causal claims are judged on."""
