"""Durations as people write them: `90s`, `10m`, `2h`, `1d`, `1h30m`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])")
_WHOLE = re.compile(rf"(?:{_PART.pattern}\s*)+")


def parse_duration(written: str) -> float:
    """`90s`, `10m`, `2h`, `1d` or several of them in a row -> seconds. A bare `0` needs no unit.

    Raises:
        ValueError: anything else; the message says how to write it.
    """
    text = written.strip().lower()
    if text == "0":
        return 0.0
    if len(text) > 40 or not _WHOLE.fullmatch(text):
        raise ValueError("Write a number and a unit: s, m, h or d. Examples: 90s, 10m, 2h, 1d.")
    return sum(float(number) * UNITS[unit] for number, unit in _PART.findall(text))


def format_duration(seconds: float) -> str:
    """Seconds -> the same words, cut to two units, rounded to seconds: 5400 -> `1h30m`."""
    left = round(seconds)
    parts = []
    for unit, size in UNITS.items():
        count, left = divmod(left, int(size))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_duration(value)
    except ValueError as fault:
        raise PydanticCustomError("duration", "{sentence}", {"sentence": str(fault)}) from fault


Duration = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_seconds)]
"""Seconds; in a configuration file written as `parse_duration` reads it."""
