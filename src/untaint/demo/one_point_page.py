"""What one point did, as a page without scripts."""

from collections.abc import Iterator, Sequence

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from untaint.demo.one_point_results import Row, Shown
from untaint.demo.one_point_victim import BATCH

LOST = 0.003
"""Accuracy in 0..1 whose loss is marked: three tenths of a point are what a step of training moves by itself."""
_WIDTH, _HEIGHT = 900, 260  # of the curves, in units of the drawing


def page(shown: Shown) -> str:
    """The page of HTML."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("untaint.demo"), PackageLoader("untaint.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = share
    worst = shown.rows[0]
    return environment.get_template("one_point.html.j2").render(
        shown=shown,
        worst=worst,
        ways=list(worst.outcomes),
        curves={way: _points(each.curve) for way, each in worst.outcomes.items()},
        steps=len(worst.outcomes["hardened"].curve) - 1,
        width=_WIDTH,
        height=_HEIGHT,
        lost=LOST,
        batch=BATCH,
        stopped=list(stopped(shown.rows)),
    )


def share(value: float) -> str:
    """Accuracy in 0..1 as per cent, with the digit that tells .6 from 0."""
    return f"{100 * value:.1f}%"


def stopped(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """What was sent, and what hardened training said it did about it, where it did anything."""
    for row in rows:
        if row.outcomes["hardened"].did:
            yield f"{row.victim}, {row.point}", "; ".join(row.outcomes["hardened"].did)


def _points(curve: Sequence[float]) -> str:
    """Places of a polyline."""
    across = _WIDTH / max(len(curve) - 1, 1)
    return " ".join(f"{50 + across * place:.1f},{12 + _HEIGHT * (1 - value):.1f}" for place, value in enumerate(curve))
