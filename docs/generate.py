"""Write docs/reference.md from the docstrings; with --check, only say whether it is up to date."""

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from untaint import registry

PAGE = Path(__file__).with_name("reference.md")


@final
@dataclass(frozen=True)
class Kind:
    """One kind of member: where its base stands, and what to say about all of them."""

    heading: str
    package: str
    base: str
    about: str


KINDS = (
    Kind("Detectors", "untaint.detectors", "Detector", "A detector turns features into one suspicion score per sample."),
    Kind("Attacks", "untaint.attacks", "Attack", "An attack turns a data set into a poisoned copy, and says which rows it changed."),
    Kind("Readers", "untaint.data.readers", "Reader", "A reader turns one format into a data set. Nothing in the data is run."),
    Kind("Renderers", "untaint.report", "Renderer", "A renderer turns an audit into text. It computes and decides nothing."),
)
HEAD = """# Reference

Every detector, attack, reader and renderer that ships with untaint, by id. Written by `docs/generate.py` from the
docstrings: change those, then run `make docs`. A parameter is set in a spec, such as `name(parameter=value)`.
"""


def found(kind: Kind) -> dict[str, type[Any]]:
    """Members of a kind that ship with untaint, by id; plug-ins have pages of their own."""
    if importlib.util.find_spec(f"{kind.package}.base") is None:
        return {}
    base = getattr(importlib.import_module(f"{kind.package}.base"), kind.base)
    members: Mapping[str, type[Any]] = registry.members(base, kind.package)
    return {name: member for name, member in members.items() if member.__module__.startswith("untaint.")}


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for kind in KINDS:
        parts += [f"## {kind.heading}\n", f"{kind.about}\n"]
        parts += [text for name, member in found(kind).items() for text in _manual(name, member)]
    return "\n".join(parts)


def _manual(name: str, member: type[Any]) -> Iterator[str]:
    summary, *rest = inspect.cleandoc(member.__doc__ or "").split("\n\n")
    yield f"### `{name}`\n"
    yield f"{_paragraph(summary)}\n"
    for block in rest:
        yield f"{_block(block)}\n"
    told = [("Reads", getattr(member, "summary", "").replace("<", "\\<")), ("Writes", _code(getattr(member, "file", None)))]
    for label, value in told:
        if value:
            yield f"- **{label}:** {value}\n"
    rows = list(_parameters(member))
    if rows:
        yield "| parameter | type | default | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    yield f"Source: `{member.__module__}`\n"


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 118, break_long_words=False, break_on_hyphens=False)


def _block(text: str) -> str:
    """A paragraph; lines that begin with a word and a colon are a list."""
    items: list[str] = []
    for line in text.splitlines():
        labelled = re.match(r"([A-Z][a-z]+(?: [a-z]+)?): +(\S.*)", line)
        if labelled or not items:
            items.append(f"- **{labelled[1]}:** {labelled[2]}" if labelled else line)
        else:
            items[-1] += f" {line.strip()}"
    return "\n".join(items) if items and items[0].startswith("- ") else _paragraph(text)


def _parameters(member: type[Any]) -> Iterator[str]:
    if not dataclasses.is_dataclass(member):
        return
    said = _said(member)
    for field in dataclasses.fields(member):
        default = "required" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
        kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
        kind = inspect.formatannotation(field.type).replace("typing.", "") if "[" in str(field.type) else kind
        yield f"| `{field.name}` | {_cell(_code(kind) or '')} | {_cell(default)} | {_cell(said.get(field.name, ''))} |"


def _said(member: type[Any]) -> dict[str, str]:
    """What the source says about each field: the comment behind it, or the string below it."""
    source = textwrap.dedent(inspect.getsource(member))
    (body,) = [node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    lines, said = source.splitlines(), {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            comment = re.search(r"\s#\s(?!noqa|type:)(.*)$", lines[(node.end_lineno or node.lineno) - 1])
            below = after.value if isinstance(after, ast.Expr) else None
            text = below.value if isinstance(below, ast.Constant) and isinstance(below.value, str) else None
            said[node.target.id] = " ".join((text or (comment[1] if comment else "")).split())
    return said


def _code(value: str | None) -> str | None:
    return f"`{value}`" if value else None


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Write the page, or say that it is out of date (1)."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print("docs/reference.md is not what the docstrings say: run `make docs`.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
