"""Rotation: by how many quarters was this picture turned? RotNet (Gidaris, Singh & Komodakis 2018)."""
