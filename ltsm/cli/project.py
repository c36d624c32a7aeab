"""The project file `ltsm.toml`: what every command in a folder is told, unless a flag or a variable says otherwise.

A setting is an option that has an environment variable; the file gives that variable where the environment does not. So
the precedence is a flag, the environment, the project file, the default, for every command alike.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ltsm.errors import UsageError
from ltsm.notation import quoted

if TYPE_CHECKING:
    from collections.abc import MutableMapping

FILE: Final = Path("ltsm.toml")
"""In the folder where the command is typed; the paths in it are as if typed there."""
SETTINGS: Final = ("store", "data", "device", "jobs", "protocol")
given: Final[set[str]] = set()
"""The settings that the project file gave to this process."""


def variable(setting: str) -> str:
    """The environment variable of a setting."""
    return f"LTSM_{setting.upper()}"


def take(environ: MutableMapping[str, str] = os.environ) -> None:
    """Give the environment what the project file says and it does not.

    Raises:
        UsageError: the file cannot be read, is no TOML, or has another setting.
    """
    for setting, value in _settings().items():
        if not environ.get(variable(setting)):
            environ[variable(setting)] = str(value)
            given.add(setting)


def _settings() -> dict[str, str | int]:
    try:
        values = tomllib.loads(FILE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"cannot read the project file {FILE}: {error}.", "mend it, or move it away"
        ) from error
    for setting, value in values.items():
        if setting not in SETTINGS or not isinstance(value, str | int) or isinstance(value, bool):
            raise UsageError(
                f"{FILE} has {quoted(setting)} = {quoted(value)}: its settings are {', '.join(SETTINGS)}.",
                f"take {setting} out of it, or move it away",
            )
    return values
