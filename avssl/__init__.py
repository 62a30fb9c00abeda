"""Self-supervised learning from videos: pretext tasks whose answers the program knows."""

__version__ = "0.1.0"
