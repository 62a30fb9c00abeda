"""The pretext tasks on held-out data: predictions, controls, shortcuts."""
