"""The kinds of objects: each has a shape of its own (``shapes``) and a timbre of its own (``voices``)."""

from __future__ import annotations

# The only thing that ties picture and sound together; in the order of their indices.
KINDS: tuple[str, ...] = ("bell", "drum", "guitar", "trumpet", "maracas", "xylophone", "frog", "bird")
