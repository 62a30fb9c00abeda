"""Surface normals: a small decoder on an encoder, angles in degrees."""
