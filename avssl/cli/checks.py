"""Values that no command can do anything with, refused before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avssl.errors import UserError


def require(values: Mapping[str, Any], name: str, holds: bool, rule: str) -> None:
    """Refuse the value of an option unless what it must be ``holds``.

    Raises:
        UserError: names the flag, the value and ``rule``, such as "must be at least 1".
    """
    if not holds:
        raise UserError(f"--{name.replace('_', '-')} ({values[name]}) {rule}")
