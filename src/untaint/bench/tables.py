"""Results as tables of Markdown."""

from collections.abc import Iterable, Mapping, Sequence


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    """One line per row under the names of the first row's cells; numbers with four digits."""
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(row[key]) for key in head) + " |" for row in rows]
    return "\n".join(lines)


def percent(value: float | None) -> str:
    """0.934 as `93.4 %`; a dash for what was not measured."""
    return "–" if value is None else f"{100 * value:.3g} %"


def mean(values: Iterable[float | None]) -> float | None:
    """Of what was measured; None when nothing was."""
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
