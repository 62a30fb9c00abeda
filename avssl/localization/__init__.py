"""From encoders, frame and sound to a map."""
