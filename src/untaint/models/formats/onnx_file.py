"""ONNX: a graph of operators in Protocol Buffers. What is looked for reaches outside: files beside it, operators of somebody's library.

Source: `onnx.proto` of ONNX 1.23; field numbers stand beside their names.
"""

from typing import Final

from untaint.models.formats import wire
from untaint.models.formats.notes import Notes
from untaint.models.formats.window import Broken, Window
from untaint.models.formats.zips import escapes

_GRAPH, _OPSETS, _TRAINING, _FUNCTIONS = 7, 8, 20, 25
_KNOWN: Final = {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}
_NODE_TYPE, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_EXTERNAL: Final = 13
_OWN: Final = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training"}
_VENDORS: Final = {
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.microsoft.experimental",
    "com.ms.internal.nhwc",
    "org.pytorch.aten",
}
"""Operators that ONNX Runtime carries itself."""
_PYTHON: Final = {"PyOp", "PythonOp", "PythonOpGrad", "PyCustomOp"}
_MOST_DEPTH: Final = 32
_MOST_DOMAINS: Final = 1000


def is_one(content: Window, notes: Notes) -> bool:
    """Whether it is a model: a version first, a graph, and no field that a model has not."""
    if content.size < 8 or content.head(1) != b"\x08":
        return False
    numbers = set()
    try:
        for place, field in enumerate(wire.fields(content, notes)):
            numbers.add(field.number)
            if place > 1000 or field.number not in _KNOWN or field.type != (0 if field.number in {1, 5} else 2):
                return False
            if field.number == _GRAPH:
                return True
    except Broken:
        return 1 in numbers and _GRAPH in numbers
    return _GRAPH in numbers


def scan(content: Window, where: str, notes: Notes) -> None:
    """Look at a model."""
    domains: dict[str, bool] = {}
    for field in wire.fields(content, notes):
        if field.number not in _KNOWN:
            notes.flaw("medium", "trailing-data", where, f"it has a field {field.number} that ONNX does not know")
        if field.number == _OPSETS:
            names = [wire.text(content.part(field.start, field.size), part) for part in _texts(content, field, notes, 1)]
            domains[names[0][:200] if names else ""] = True
            if len(domains) > _MOST_DOMAINS:
                raise Broken(f"it has more than {_MOST_DOMAINS} sets of operators", "oversize")
        elif field.number in {_GRAPH, _TRAINING, _FUNCTIONS} and field.type == 2:
            _graph(content.part(field.start, field.size), where, notes, 0, _LAYOUT[field.number])
    for domain in domains:
        _domain(domain, where, notes)


_LAYOUT: Final = {_GRAPH: "graph", _TRAINING: "training", _FUNCTIONS: "function"}
_PARTS: Final = {
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "node": {_NODE_ATTRIBUTE: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Messages within each kind of message that are followed, by their field."""


def _texts(content: Window, field: wire.Field, notes: Notes, number: int) -> list[wire.Field]:
    part = content.part(field.start, field.size)
    return [each for each in wire.fields(part, notes) if each.number == number and each.type == 2]


def _graph(content: Window, where: str, notes: Notes, depth: int, kind: str) -> None:
    """A message and those within it."""
    if depth > _MOST_DEPTH:
        raise Broken("its graphs are nested too deep")
    if kind == "tensor":
        _tensor(content, where, notes)
        return
    found: dict[int, str] = {}
    for field in wire.fields(content, notes):
        part = _PARTS[kind].get(field.number)
        if part is not None and field.type == 2:
            _graph(content.part(field.start, field.size), where, notes, depth + 1, part)
        elif kind == "node" and field.number in {_NODE_TYPE, _NODE_DOMAIN} and field.type == 2:
            found[field.number] = wire.text(content, field)
    if kind == "node":
        _node(found.get(_NODE_TYPE, ""), found.get(_NODE_DOMAIN, ""), where, notes)


def _node(operator: str, domain: str, where: str, notes: Notes) -> None:
    if operator in _PYTHON:
        notes.flaw("critical", "custom-operator", where, f"its graph calls Python ({operator})")
    _domain(domain, where, notes)


def _domain(domain: str, where: str, notes: Notes) -> None:
    if domain in _VENDORS:
        notes.flaw("info", "custom-operator", where, f"it uses operators of {domain}")
    elif domain not in _OWN and not domain.startswith("pkg.onnxscript"):
        notes.flaw("high", "custom-operator", where, f"it uses operators of {domain[:80]!r}, which need a library of their own")


def _tensor(content: Window, where: str, notes: Notes) -> None:
    """Where a tensor's numbers lie in another file."""
    entries: dict[str, str] = {}
    for part in wire.inner(content, notes, _EXTERNAL):
        pair = {field.number: wire.text(part, field) for field in wire.fields(part, notes) if field.type == 2}
        key = pair.get(1, "")
        if key in entries:
            notes.flaw("high", "outside-file", where, f"a tensor names its {key[:40]!r} twice")
        entries[key] = pair.get(2, "")
    if not entries:
        return
    location = entries.get("location", "")
    if location.startswith("*/_ORT_MEM_ADDR_"):
        notes.flaw("critical", "outside-file", where, "a tensor points into the memory of the program")
    elif escapes(location) or not location or "://" in location:
        notes.flaw(
            "critical", "outside-file", where, f"a tensor's numbers are read from {location[:120]!r}, outside the model's folder"
        )
    elif location not in notes.beside:
        notes.flaw(
            "high", "outside-file", where, f"a tensor's numbers are read from {location[:120]!r}, which is not beside the model"
        )
    else:
        notes.rides(f"{where}: {location}" if where else location)
    for name in ("offset", "length"):
        value = entries.get(name, "0")
        if not (value.isascii() and value.isdigit()) or len(value) > 18:
            notes.flaw("high", "outside-file", where, f"a tensor has the {name} {value[:40]!r}")
