"""Which networks were made to point; known without importing torch."""

from __future__ import annotations


def not_made_to_point(fusion: str) -> str | None:
    """What to say of a network whose training asked for no place in the picture; None of one that was made to point.

    Args:
        fusion: the name of its fusion.
    """
    if fusion == "avol":
        return None
    return (
        f"this network (fusion {fusion}) was trained to tell whether picture and sound belong together, "
        "not where; one of avssl train av-correspondence --fusion avol shows where"
    )
