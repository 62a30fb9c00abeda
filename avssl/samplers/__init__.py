"""Which clips, pairs, frame triplets and patches make a puzzle; all randomness of the data."""
