"""Configurations of Keras: every object in them by exact module and class, default deny.

A configuration names what Keras imports and calls, `module` and `class_name`, with arguments; that is how `.keras` and `.h5` files ran
code in CVE-2024-3660, CVE-2025-1550, CVE-2025-8747, CVE-2025-9905, CVE-2025-9906 and CVE-2025-49655. The list is that of Keras' own
layers, losses and the like (release 3.15) without those that carry code or read files.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from untaint.models.formats import json_text
from untaint.models.formats.notes import Notes
from untaint.models.formats.suspects import severity_of

_DATA: Final = {
    "__keras_tensor__",
    "__tensor__",
    "__numpy__",
    "__bytes__",
    "__ellipsis__",
    "__tuple__",
    "__typespec__",
    "__slice__",
    "__bool__",
}
"""Values that JSON cannot write, and Keras writes as if they were objects."""
_CARRY: Final = {
    "Lambda": "a layer that is a function of the file's own",
    "__lambda__": "a function of the file's own, as bytecode",
    "TFOpLambda": "a layer that calls a function by its name",
    "SlicingOpLambda": "a layer that calls a function by its name",
    "TorchModuleWrapper": "a layer that unpickles a PyTorch module",
    "JaxLayer": "a layer that is a function of the file's own",
    "FlaxLayer": "a layer that is a function of the file's own",
    "TFSMLayer": "a layer that loads another model from a path",
    "Wrapper": "a wrapper around whatever it names",
}
"""Classes that carry code."""
_WORDS: Final = {"TextVectorization", "StringLookup", "IntegerLookup", "IndexLookup"}
"""They read a list of words from a path where one is given (CVE-2025-12058)."""
_HOMES: Final = {
    "keras.src.models.functional": {"Functional"},
    "keras.src.engine.functional": {"Functional"},
    "keras.engine.functional": {"Functional"},
    "keras.src.models.sequential": {"Sequential"},
    "keras": {"Sequential", "Functional", "Model", "DTypePolicy", "Variable", "Input"},
    "keras.models": {"Sequential", "Functional", "Model"},
    "keras.mixed_precision": {"Policy"},
    "keras.dtype_policies": {
        "DTypePolicy",
        "DTypePolicyMap",
        "FloatDTypePolicy",
        "QuantizedDTypePolicy",
        "QuantizedFloat8DTypePolicy",
    },
    "builtins": {"slice"},
}
_FUNCTIONS: Final = {"keras.activations", "keras.losses", "keras.metrics", "builtins"}


@cache
def known() -> Mapping[str, frozenset[str]]:
    """Classes that a configuration may name, by module."""
    found: dict[str, frozenset[str]] = {}
    text = files("untaint.models.formats").joinpath("keras_objects.txt").read_text(encoding="ascii")
    for line in text.splitlines():
        module, _, names = line.partition(":")
        found[module] = found.get(module, frozenset()) | frozenset(names.split())
    return {**found, **{home: frozenset(names) | found.get(home, frozenset()) for home, names in _HOMES.items()}}


@cache
def _anywhere() -> frozenset[str]:
    """The same without their modules: the legacy layout names none, and Keras looks in all of its own."""
    return frozenset(name for module, names in known().items() if module != "functions" for name in names)


def scan(config: Any, where: str, notes: Notes) -> None:
    """Look at every object of a configuration."""
    for path, node in json_text.nodes(config):
        if isinstance(node, dict) and "class_name" in node:
            _object(node, f"{where} {path}".strip(), notes)
        elif isinstance(node, dict) and node.get("function_type") in {"lambda", "function"}:
            notes.flaw("critical", "keras-object", where, f"{path} carries a function")


def _object(node: dict[str, Any], where: str, notes: Notes) -> None:
    name, module = node["class_name"], node.get("module")
    if not isinstance(name, str) or not (module is None or isinstance(module, str)):
        notes.flaw("high", "keras-object", where, "an object has no name that can be read")
        return
    short = name.rpartition(">")[2]
    if name in _CARRY or short in _CARRY:
        notes.flaw("critical", "keras-object", where, f"{short}: {_CARRY[short]}")
    elif name == "function" or (module in _FUNCTIONS and module != "builtins"):
        _function(node, module, where, notes)
    elif name in _DATA:
        return
    elif name not in (_anywhere() if module is None else known().get(module, frozenset())):
        _unknown(name, module, where, notes)
    if short in _WORDS:
        vocabulary = node.get("config", {}).get("vocabulary") if isinstance(node.get("config"), dict) else None
        if isinstance(vocabulary, str):
            notes.flaw("high", "outside-file", where, f"{short} reads its words from {vocabulary[:120]!r}")


def _function(node: dict[str, Any], module: str | None, where: str, notes: Notes) -> None:
    name = node.get("config") if node["class_name"] == "function" else node["class_name"]
    plain = isinstance(name, str) and name in known()["functions"] | _anywhere()
    if not plain or (module is not None and module not in _FUNCTIONS):
        said = f"it calls the function {module or ''}{'.' if module else ''}{str(name)[:60]}"
        notes.flaw("critical", "keras-object", where, said)


def _unknown(name: str, module: str | None, where: str, notes: Notes) -> None:
    root = (module or "").partition(".")[0]
    if module is None or (">" in name and root in {"", "builtins"}):
        notes.flaw("medium", "keras-object", where, f"{name[:80]} is not one of Keras' own: it needs code of somebody's")
        return
    severity = severity_of(module, name) if root != "keras" else "high"
    notes.flaw(severity, "keras-object", where, f"it imports {module[:80]}.{name[:80]}, which is not on the list of Keras' own")
