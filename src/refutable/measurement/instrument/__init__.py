"""How a forward pass is read: taps, reductions on the device, and the check that every block closes."""
