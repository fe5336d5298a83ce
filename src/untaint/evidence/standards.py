"""What MITRE ATLAS, OWASP and NIST call the kinds of findings; the names and numbers stand in `standards.toml`."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, final


@final
class Standard(NamedTuple):
    """An entry of a catalogue, such as AML.T0020 of MITRE ATLAS.  version: of the catalogue."""

    catalogue: str
    version: str
    id: str
    name: str


def of_kind(kind: str) -> tuple[Standard, ...]:
    """What a finding of this kind may be an instance of; nothing for a kind that is nobody's attack, or unknown."""
    content = _content()
    wanted = content["kinds"].get(kind, ())
    return tuple(standard for standard in standards() if standard.id in wanted)


@cache
def standards() -> tuple[Standard, ...]:
    """Every entry there is, catalogue by catalogue."""
    return tuple(
        Standard(catalogue["name"], catalogue["version"], id, name)
        for catalogue in _content()["catalogue"]
        for id, name in catalogue["entries"].items()
    )


@cache
def _content() -> dict[str, Any]:
    return tomllib.loads(files("untaint.evidence").joinpath("standards.toml").read_text(encoding="utf-8"))
