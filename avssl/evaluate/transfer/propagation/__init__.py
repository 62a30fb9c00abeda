"""Label propagation: what is marked in the first frame of a video, carried through it by an encoder's features."""
