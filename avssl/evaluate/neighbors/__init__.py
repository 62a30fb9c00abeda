"""Nearest neighbours of frames, patches and sounds in the features of a stage."""
