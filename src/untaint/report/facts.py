"""A mapping of facts as lines of name and value, nested ones named `outer.inner`."""

from collections.abc import Iterator, Mapping
from itertools import islice

from untaint.report.text import clip

_LINES, _ITEMS, _LENGTH = 40, 12, 300


def facts(values: Mapping[str, object]) -> list[tuple[str, str]]:
    """At most 40 lines; long lists and texts are cut, the cut marked."""
    return list(islice(_lines(values, ""), _LINES))


def _lines(values: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = clip(f"{prefix}{key}", 60)
        if isinstance(value, Mapping):
            yield from _lines(value, f"{name}.")
        elif shown := _shown(value):
            yield name, clip(shown, _LENGTH)


def _shown(value: object) -> str:
    if isinstance(value, (list, tuple)):
        more = f" … and {len(value) - _ITEMS:,} more" if len(value) > _ITEMS else ""
        return ", ".join(clip(_shown(item), _LENGTH) for item in value[:_ITEMS]) + more
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(item)}" for key, item in islice(value.items(), _ITEMS))
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
