"""What every renderer owes, plug-ins included."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typing_extensions import override

from untaint.report.base import Picture, Renderer, Report
from untaint.report.folder import from_json, read, renderers, to_json
from untaint.report.text import visible

RELEASED = sorted((Path(__file__).parents[1] / "released").glob("v*"))
HOSTILE = (
    "<script>alert(1)</script>",
    "</title></style><img src=x onerror=alert(1)>",
    "\"' onmouseover=alert(1) x='",
    "\u202egnp.exe\u2066",
    "nul\x00esc\x1b[2J",
    "lone\ud800",
    "{{ 7*7 }}{% raw %}",
    "`|`\n# heading\n```",
    "x](javascript:alert(1))",
)
WORDS = {"schema", "verdict", "severity", "confidence", "status"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "article", "nav", "a", "details", "summary"),
    *("h1", "h2", "h3", "h4", "p", "ul", "li", "dl", "dt", "dd", "div", "span", "pre", "code", "blockquote", "br"),
    *("b", "i", "small", "mark", "figure", "figcaption", "img", "svg", "path", "circle"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


@pytest.fixture(params=sorted(renderers()))
def renderer(request: pytest.FixtureRequest) -> Renderer:
    return renderers()[request.param]()


@pytest.fixture(params=RELEASED, ids=lambda path: path.name)
def report(request: pytest.FixtureRequest) -> Report:
    return read(request.param)


def spoiled(value: object, evil: str, key: str = "") -> object:
    """Every free text in a document replaced."""
    if isinstance(value, dict):
        return {name: spoiled(item, evil, name) for name, item in value.items()}
    if isinstance(value, list):
        return [spoiled(item, evil, key) for item in value]
    return evil if isinstance(value, str) and key not in WORDS else value


def hostile(report: Report, evil: str) -> Report:
    data = json.loads(to_json(report.document))
    bad = spoiled(data, evil)
    assert isinstance(bad, dict)
    bad["environment"][evil] = evil
    document = from_json(json.dumps(bad).encode(), "x")
    ids = [finding.id for finding in document.findings]
    pictures = [Picture(finding, "member", row, text=evil) for row, finding in enumerate(ids)]
    return Report(document, report.samples, {picture.name: picture for picture in pictures})


def test_a_released_audit_still_renders(renderer: Renderer, report: Report) -> None:
    text = renderer.render(report)
    assert text.endswith("\n") or text.rstrip().endswith("</html>")
    assert report.document.findings[0].id in text


def test_same_report_same_text(renderer: Renderer, report: Report) -> None:
    before = to_json(report.document)
    assert renderer.render(report) == type(renderer)().render(report)
    assert to_json(report.document) == before


@pytest.mark.parametrize("evil", HOSTILE, ids=lambda text: visible(text)[:12])
def test_hostile_text_stays_text(renderer: Renderer, report: Report, evil: str) -> None:
    text = renderer.render(hostile(report, evil))
    text.encode()
    assert visible(text) == text
    assert "<script" not in text or renderer.id == "markdown"
    assert "<img src=x" not in text or renderer.id == "markdown"


@pytest.mark.parametrize("evil", HOSTILE[:3] + HOSTILE[6:], ids=lambda text: visible(text)[:12])
def test_hostile_text_adds_no_element(report: Report, evil: str) -> None:
    html = renderers()["html"]().render(hostile(report, evil))
    for tag, attributes in elements(html):
        assert tag in TAGS
        assert not [name for name in attributes if name.startswith("on")]
        assert re.fullmatch(r"data:image/png;base64,.+|", attributes.get("src") or "")
        assert re.fullmatch(r"#finding-\d+|", attributes.get("href") or "")


def test_markdown_puts_markup_in_code_only(report: Report) -> None:
    text = renderers()["markdown"]().render(hostile(report, HOSTILE[0]))
    assert "<script" not in re.sub(r"`[^`]*`", "", text)


def elements(html: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    class Collect(HTMLParser):
        found: list[tuple[str, dict[str, str | None]]]

        @override
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found.append((tag, dict(attrs)))

    parser = Collect()
    parser.found = []
    parser.feed(html)
    yield from parser.found


def test_this_machine_does_not_show(renderer: Renderer, report: Report) -> None:
    text = renderer.render(report)
    for place in (Path.home(), Path.cwd(), Path(__file__).parents[2]):
        assert len(place.parts) < 2 or str(place) not in text


def test_names_are_its_own() -> None:
    known = list(renderers().values())
    assert len({renderer.file for renderer in known}) == len(known)
    assert all(renderer.__doc__ for renderer in known)
