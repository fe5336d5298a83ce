"""Write docs/reference.md from the docstrings; with --check, only say whether it is up to date."""

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import re
import sys
import textwrap
from collections.abc import Container, Iterator, Mapping
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
    Kind(
        "Attacks", "untaint.attacks", "Attack", "An attack turns a data set into a poisoned copy, and says which rows it changed."
    ),
    Kind("Defences", "untaint.training", "Defence", "A defence is a set of hooks on one training loop. Several make a recipe."),
    Kind(
        "Checks of models",
        "untaint.models",
        "ModelCheck",
        "A check turns a model, on disk or loaded, into findings. It runs nothing of it.",
    ),
    Kind(
        "Repairs of models",
        "untaint.models.repair",
        "Repair",
        "A repair turns a network and a few clean inputs into another of the same shape. It never sees a trigger.",
    ),
    Kind(
        "Signs of a guard",
        "untaint.guard.signs",
        "Sign",
        "A sign turns an input, and what a model made of it, into a few numbers.",
    ),
    Kind("Readers", "untaint.data.readers", "Reader", "A reader turns one format into a data set. Nothing in the data is run."),
    Kind("Renderers", "untaint.report", "Renderer", "A renderer turns an audit into text. It computes and decides nothing."),
)
HEAD = """# Reference

Every detector, attack, defence, check and repair of models, sign, reader and renderer that ships with untaint, by id. Written by
`docs/generate.py` from the docstrings: change those, then run `make docs`. A parameter is set in a spec, such as `name(parameter=value)`.
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
    summary, _, body = inspect.cleandoc(member.__doc__ or "").partition("\n\n")
    names = _fields(member)
    yield f"### `{name}`\n"
    yield f"{_paragraph(summary)}\n"
    for before, entries in (_entries(block, names) for block in body.split("\n\n")):
        if before.strip():
            yield f"{_paragraph(before)}\n"
        items = [f"- **{label}:** {text}" for label, text in entries if not set(label.split(", ")) <= names.keys()]
        if items:
            yield "\n".join(items) + "\n"
    told = [("Reads", getattr(member, "summary", "").replace("<", "\\<")), ("Writes", _code(getattr(member, "file", "")))]
    for label, value in told:
        if value:
            yield f"- **{label}:** {value}\n"
    if names:
        yield "| parameter | type | default | |\n|---|---|---|---|\n" + "\n".join(_parameters(names, _said(member))) + "\n"
    yield f"Source: `{member.__module__}`\n"


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 118, break_long_words=False, break_on_hyphens=False)


def _entries(block: str, names: Container[str]) -> tuple[str, list[tuple[str, str]]]:
    """What stands before the first `label: text`, and every label with its text.

    A label is one of these names (or several), or begins a line with a capital; two spaces part names on one line.
    """
    found = re.finditer(r"(?:^|(?<=\n)|(?<=\s\s))([A-Za-z][\w, ]{0,40}): +(?=\S)", block)
    marks = [mark for mark in found if _is_label(mark, names)]
    if not marks:
        return block, []
    ends = [*(mark.start() for mark in marks[1:]), len(block)]
    entries = [(mark[1], " ".join(block[mark.end() : end].split())) for mark, end in zip(marks, ends, strict=True)]
    return block[: marks[0].start()], entries


def _is_label(mark: re.Match[str], names: Container[str]) -> bool:
    begins_line = mark.string[mark.start() - 1 : mark.start()] in {"", "\n"}
    return all(name in names for name in mark[1].split(", ")) or (mark[1][0].isupper() and begins_line)


def _fields(member: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    return {field.name: field for field in dataclasses.fields(member)} if dataclasses.is_dataclass(member) else {}


def _parameters(fields: dict[str, dataclasses.Field[Any]], said: dict[str, str]) -> Iterator[str]:
    for name, field in fields.items():
        default = "required" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
        kind = field.type if isinstance(field.type, str) else inspect.formatannotation(field.type).replace("typing.", "")
        yield f"| `{name}` | {_cell(_code(kind))} | {_cell(default)} | {_cell(said.get(name, ''))} |"


def _said(member: type[Any]) -> dict[str, str]:
    """What the sources say about each parameter: the comment behind it, the string below it, or the class's docstring."""
    said: dict[str, str] = {}
    for owner in reversed([parent for parent in member.__mro__ if dataclasses.is_dataclass(parent)]):
        said |= _beside(owner)
        names = _fields(owner)
        for block in inspect.cleandoc(owner.__doc__ or "").split("\n\n"):
            said |= {name: text for label, text in _entries(block, names)[1] for name in label.split(", ") if name in names}
    return said


def _beside(owner: type[Any]) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(owner))
    (body,) = [node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    lines, said = source.splitlines(), {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            comment = re.search(r"\s#\s(?!noqa|type:)(.*)$", lines[(node.end_lineno or node.lineno) - 1])
            below = after.value if isinstance(after, ast.Expr) else None
            text = below.value if isinstance(below, ast.Constant) and isinstance(below.value, str) else None
            said[node.target.id] = " ".join((text or (comment[1] if comment else "")).split())
    return {name: text for name, text in said.items() if text}


def _code(value: str) -> str:
    return f"`{value}`" if value else ""


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
