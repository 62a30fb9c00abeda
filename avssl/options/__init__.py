"""Options: dataclasses whose fields are flags, YAML keys and Python keyword arguments alike, checked in one place.

::

    @dataclass(frozen=True)
    class PrepareOptions:
        data: str = argument("folder of videos")
        side: int | None = option(256, "pixels of the shorter side; null keeps all", low=1)

    build(PrepareOptions, {"data": "videos/", "side": 144})
"""

from avssl.options.fields import REQUIRED, Option, argument, option, options_of
from avssl.options.kinds import converted
from avssl.options.resolve import Values, build, check_bounds, check_options, resolve
from avssl.options.yaml_file import read_yaml

__all__ = [
    "REQUIRED",
    "Option",
    "Values",
    "argument",
    "build",
    "check_bounds",
    "check_options",
    "converted",
    "option",
    "options_of",
    "read_yaml",
    "resolve",
]
