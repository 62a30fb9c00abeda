"""Where to look: clips, pairs, frame triplets, patches; all randomness of the data."""
