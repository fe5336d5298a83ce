"""`untaint.toml`: every flag of a command is also a key of the table of its name."""

import tomllib
from pathlib import Path
from typing import Any

from typer.core import TyperGroup, TyperOption

from untaint.errors import BadInput

FILE = "untaint.toml"


def read(path: Path | None, group: TyperGroup) -> dict[str, dict[str, Any]]:
    """Defaults per command. path: None = `untaint.toml` in the working folder when there is one.

    Raises BadInput for a missing file, bad TOML, or a key no command knows.
    """
    chosen = path or Path(FILE)
    if not chosen.is_file():
        if path is None:
            return {}
        raise BadInput(f"no such configuration file: {path}.")
    try:
        content = tomllib.loads(chosen.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{chosen} cannot be read as TOML: {error}.") from error
    return {name: _defaults(chosen, name, table, group) for name, table in content.items()}


def _defaults(path: Path, name: str, table: object, group: TyperGroup) -> dict[str, Any]:
    command = group.commands.get(name)
    if command is None or not isinstance(table, dict):
        raise BadInput(f"{path}: [{name}] is no command.", advice=f"Tables: {', '.join(sorted(group.commands))}.")
    options = {parameter.name for parameter in command.params if isinstance(parameter, TyperOption)}
    given = {key.replace("-", "_"): value for key, value in table.items()}
    if unknown := sorted(set(given) - options):
        known = ", ".join(sorted(str(option).replace("_", "-") for option in options if option != "help"))
        raise BadInput(f"{path}: [{name}] has no key {unknown[0]!r}.", advice=f"Keys: {known}.")
    return given
