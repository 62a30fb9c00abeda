"""YAML files of options: plain values only, so that a config can never run code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from avssl.errors import UserError


def read_yaml(path: Path) -> dict[Any, Any]:
    """The mapping in a YAML file; {} if the file is empty.

    Raises:
        UserError: there is no such file, it is not YAML, it is not a mapping, it holds a tag or a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    try:
        value = yaml.load(text, Loader=_PlainLoader)  # no code: _PlainLoader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}: {error.problem or 'not YAML'}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{path}: needs lines of the form 'option: value'")
    return value


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader that also refuses explicit tags and repeated keys."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) not in (None, "!"):
            raise yaml.constructor.ConstructorError(
                None, None, f"the tag {event.tag!r} is refused: options are plain values", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool):
                raise yaml.constructor.ConstructorError(None, None, "a key must be a word", key_node.start_mark)
            if key in seen:  # YAML itself would take the last, silently
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is there twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
