"""One run, one readable TOML file; a key that the run does not know is refused."""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from imagetext.errors import InvalidParameter

Config = TypeVar("Config")


def read_config(kind: type[Config], file: Path, **overrides: Any) -> Config:
    """A dataclass filled from a TOML file; overrides that are not None win.

    Raises:
        InvalidParameter: the file is unreadable, has an unknown key, or a value of the wrong type.
    """
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidParameter(f"{file} is not a readable TOML file.") from error
    known = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InvalidParameter(f"{file.name} has unknown keys: {', '.join(unknown)}.")
    for name, value in values.items():
        if type(value) is not type(known[name]) and not (type(value) is int and type(known[name]) is float):
            raise InvalidParameter(f"{file.name}: {name} must be of type {type(known[name]).__name__}.")
    return kind(**values | {name: value for name, value in overrides.items() if value is not None})
