"""The page on a training run: what was learned, what defences kept away, and what is proven."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from markupsafe import Markup

from untaint.report.html import environment
from untaint.training.record import Record

FILE = "report.html"
WIDTH, HEIGHT = 640, 240
_LEFT, _BOTTOM, _TOP, _RIGHT = 46, 28, 22, 12
_TOLD = 12  # ticks and values of one line


@final
@dataclass(frozen=True)
class Line:
    """One curve: what it is called, and a value per step, None = no number."""

    name: str
    values: Sequence[float | None]


def page(record: Record) -> str:
    """HTML that needs nothing else."""
    session: Any = record.session
    losses = [Line("rows trained on", [each.loss for each in record.curves])]
    if any(each.held_out_loss is not None for each in record.curves):
        losses.append(Line("rows held out", [each.held_out_loss for each in record.curves]))
    accuracy = [Line("rows held out", [each.held_out_accuracy for each in record.curves])]
    certified = record.tested.certified if record.tested is not None else ()
    return (
        environment()
        .get_template("training.html.j2")
        .render(
            record=record,
            session=session,
            facts=[(name, _flat(each)) for name, each in session.get("facts", {}).items()],
            refused=session.get("updates_refused", [])[:20],
            losses=chart(losses, "epoch", "loss") if record.curves else "",
            accuracy=chart(accuracy, "epoch", "accuracy", top=1.0) if any(accuracy[0].values) else "",
            certified=chart([Line("certified accuracy", certified)], "poisoned rows", "share", top=1.0, first=0)
            if certified
            else "",
        )
    )


def _flat(facts: Any) -> list[tuple[str, str]]:
    return [(str(name).replace("_", " "), _said(value)) for name, value in facts.items()]


def _said(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def chart(lines: Sequence[Line], across: str, up: str, *, top: float | None = None, first: int = 1) -> Markup:
    """Curves as a picture in SVG. top: end of the upright axis, None = the largest value.  first: number of the first step."""
    values = [value for line in lines for value in line.values if value is not None]
    highest = top or max(values, default=1.0) or 1.0
    steps = max(len(line.values) for line in lines)
    parts = [_axes(steps, highest, across, up, first)]
    for place, line in enumerate(lines):
        points = [(_x(at, steps), _y(value / highest)) for at, value in enumerate(line.values) if value is not None]
        parts.append(
            Markup('<polyline class="curve c{}" points="{}"/>').format(place, " ".join(f"{x:.1f},{y:.1f}" for x, y in points))
        )
        if len(points) == 1:
            parts.append(Markup('<circle class="curve c{}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(place, *points[0]))
    legend = Markup("").join(
        Markup('<span class="c{}">{}</span>').format(place, line.name) for place, line in enumerate(lines) if len(lines) > 1
    )
    picture = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{} by {}">{}</svg>').format(
        WIDTH, HEIGHT, up, across, Markup("").join(parts)
    )
    return picture + Markup('<p class="legend">{}</p>').format(legend) if legend else picture


def _axes(steps: int, highest: float, across: str, up: str, first: int) -> Markup:
    rules = [_rule(share, _tick(share * highest, up)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    every = max(1, -(-steps // _TOLD))
    below = [
        Markup('<text x="{:.1f}" y="{}" class="tick mid">{}</text>').format(_x(at, steps), HEIGHT - 12, at + first)
        for at in range(0, steps, every)
    ]
    name = Markup('<text x="{}" y="{}" class="tick end">{}</text>').format(WIDTH - _RIGHT, HEIGHT - 1, across)
    return Markup("").join([*rules, *below, name])


def _tick(value: float, up: str) -> str:
    return f"{value:.0%}" if up in {"accuracy", "share"} else f"{value:.3g}"


def _x(at: int, steps: int) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (at / (steps - 1) if steps > 1 else 0.5)


def _y(share: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * min(max(share, 0.0), 1.0)


@final
@dataclass(frozen=True)
class Spot:
    """A recipe in the picture of a trade-off. accuracy, success: shares; NaN success = no trigger could be tried."""

    name: str
    accuracy: float
    success: float
    chosen: bool


def tradeoff_page(document: Mapping[str, Any]) -> str:
    """The page of a sweep, from its document."""
    points = document["points"]
    spots = [
        Spot(each["recipe"], each["accuracy"], each["asr"], each["recipe"] == document["chosen"])
        for each in points
        if each["asr"] is not None
    ]
    radii = sorted({int(radius) for each in points for radius in each["certified"]})
    template = environment().get_template("tradeoff.html.j2")
    return template.render(document=document, points=points, radii=radii, picture=scatter(spots) if spots else "")


def scatter(spots: Sequence[Spot]) -> Markup:
    """Accuracy across, success of the attack upright: the lower right corner is where one wants to be."""
    low = min(spot.accuracy for spot in spots)
    start = max(0.0, (int(low * 20) - 1) / 20)
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)
    parts = [_rule(share, f"{share:.0%}") for share in shares]
    below = Markup('<text x="{:.1f}" y="{}" class="tick {}">{:.1%}</text>')
    parts += [
        below.format(_across(share), HEIGHT - 12, "end" if share == 1 else "mid", start + share * (1 - start)) for share in shares
    ]
    parts += [_spot(place + 1, spot, start) for place, spot in enumerate(spots)]
    parts.append(Markup('<text x="{}" y="{}" class="tick end">clean accuracy</text>').format(WIDTH - _RIGHT, HEIGHT - 1))
    whole = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="attack success by clean accuracy">{}</svg>')
    return whole.format(WIDTH, HEIGHT, Markup("").join(parts))


def _spot(number: int, spot: Spot, start: float) -> Markup:
    x, y = _across((spot.accuracy - start) / (1 - start)), _y(spot.success)
    title = f"{spot.name}: accuracy {spot.accuracy:.1%}, success {spot.success:.1%}"
    drawn = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="6"/><text x="{:.1f}" y="{:.1f}">{}</text>').format(x, y, x, y - 9, number)
    return Markup('<g class="{}"><title>{}</title>{}</g>').format("chosen" if spot.chosen else "spot", title, drawn)


def _rule(share: float, said: str) -> Markup:
    """A line across and what it stands for."""
    line = Markup('<line class="rule" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
        _LEFT, WIDTH - _RIGHT, _y(share), _y(share)
    )
    return line + Markup('<text x="{}" y="{:.1f}" class="tick end">{}</text>').format(_LEFT - 6, _y(share) + 4, said)


def _across(share: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * share
