"""The generated world: short clips whose truth is known, written as ordinary video files."""
