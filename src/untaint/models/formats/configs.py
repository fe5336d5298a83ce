"""Texts beside weights that name code: JSON and YAML configurations, Python, and what loaders make of them.

Source: `auto_map` and `trust_remote_code` of transformers, `model_index.json` of diffusers, `modules.json` of sentence-transformers,
`adapter_config.json` of PEFT, `_target_` of hydra, `!!python` tags of PyYAML, `schema.json` of skops.
"""

import re
from pathlib import PurePosixPath
from typing import Any, Final

from untaint.models.formats import json_text, keras_objects, templates
from untaint.models.formats.judge import ALLOWED, shown
from untaint.models.formats.notes import Notes
from untaint.models.formats.suspects import severity_of

_LIBRARIES: Final = {"diffusers", "transformers", "sentence_transformers", "tokenizers", "peft", "onnxruntime", "flax", "optimum"}
"""Packages that are meant where a configuration says which library a part is of."""
_TARGET: Final = re.compile(
    r"^[ \t\-{,\"']*(_target_|target|_partial_target_)[\"']?\s*:\s*[\"']?([A-Za-z_][\w.]*\.[\w.]+)", re.MULTILINE
)
_TAG: Final = re.compile(r"!!?python/[\w/]+(?::[\w.]*)?|tag:yaml\.org,2002:python/[\w/:.]*")
_COMMANDS: Final = re.compile(
    r"\b(?:exec|eval|compile|__import__|os\.system|subprocess|pty\.spawn|socket\.socket|marshal\.loads|b64decode)\b"
)


def scan_json(content: bytes, name: str, where: str, notes: Notes) -> None:
    """Look at a JSON file. name: of the file, by which loaders choose how to read it."""
    if len(content) > json_text.MOST:
        notes.flaw("medium", "oversize", where, f"a configuration of {len(content):,} bytes was not looked into")
        return
    value = json_text.read(content)
    for path, node in json_text.nodes(value):
        if isinstance(node, dict):
            _mapping(path, node, where, notes)
    if isinstance(value, dict):
        _by_name(PurePosixPath(name).name, value, where, notes)
    elif PurePosixPath(name).name == "modules.json" and isinstance(value, list):
        for part in value:
            _library(part.get("type") if isinstance(part, dict) else None, where, notes)


def _mapping(path: str, node: dict[str, Any], where: str, notes: Notes) -> None:
    place = f"{where} {path}".strip()
    if (found := node.get("auto_map")) is not None:
        names = sorted(str(value) for value in found.values()) if isinstance(found, dict) else [str(found)]
        for name in names[:20]:
            notes.rides(f"{where}: {name}")
        notes.flaw("high", "remote-code", place, f"loading with trust_remote_code would run {', '.join(map(shown, names[:4]))}")
    if node.get("trust_remote_code") is True:
        notes.flaw("high", "remote-code", place, "it asks to be trusted with code of its own")
    for key in ("_target_", "_partial_target_"):
        if isinstance(target := node.get(key), str):
            _target(target, place, notes)
    template = node.get("chat_template")
    many = [part.get("template") for part in template if isinstance(part, dict)] if isinstance(template, list) else [template]
    for text in many:
        if isinstance(text, str):
            notes.rides(f"{where}: chat_template")
            templates.scan(text, place, notes)


def _by_name(name: str, value: dict[str, Any], where: str, notes: Notes) -> None:
    if name == "model_index.json":
        for key, part in value.items():
            if isinstance(part, list) and part and not key.startswith("_"):
                _library(part[0], f"{where} {key}", notes)
        if isinstance(value.get("_class_name"), list):
            _library(value["_class_name"][0] if value["_class_name"] else "?", where, notes)
    elif name == "adapter_config.json" and isinstance(mapped := value.get("auto_mapping"), dict):
        _library(mapped.get("parent_library"), where, notes)
    elif name == "schema.json" and ("__loader__" in value or "__module__" in value):
        _skops(value, where, notes)
    elif "class_name" in value and "config" in value:
        keras_objects.scan(value, where, notes)


def _library(name: object, where: str, notes: Notes) -> None:
    """A package that a loader will import."""
    if name is None:
        return
    root = str(name).partition(".")[0]
    if root not in _LIBRARIES:
        module, _, last = str(name).rpartition(".")
        severity = severity_of(module or str(name), last) if module else "high"
        notes.flaw(severity, "named-code", where, f"its loader imports {shown(str(name))}")


def _skops(value: dict[str, Any], where: str, notes: Notes) -> None:
    """Every object of a skops file, by its module and class."""
    for path, node in json_text.nodes(value):
        if isinstance(node, dict) and "__class__" in node:
            module, name = str(node.get("__module__")), str(node.get("__class__"))
            if (module, name) not in ALLOWED:
                notes.flaw(
                    severity_of(module, name), "named-code", f"{where} {path}", f"its loader imports {shown(f'{module}.{name}')}"
                )
            if "Method" in str(node.get("__loader__")) or "Operator" in str(node.get("__loader__")):
                notes.flaw("high", "named-code", f"{where} {path}", "its loader looks up a method by its name")


def _target(target: str, where: str, notes: Notes) -> None:
    module, _, name = target.rpartition(".")
    severity = severity_of(module, name)
    said = f"hydra imports and calls {shown(target)}"
    notes.rides(f"{where}: {target}")
    notes.flaw("critical" if severity == "critical" else "medium", "named-code", where, said)


def scan_yaml(text: str, where: str, notes: Notes) -> None:
    """Look at YAML by its words: it is not parsed, since no reader of it is needed to see what it names."""
    for match in _TARGET.finditer(text):
        _target(match[2], where, notes)
    for match in _TAG.finditer(text):
        notes.flaw("critical", "named-code", where, f"the tag {shown(match[0])} makes a careless reader run code")


def scan_python(text: str, where: str, notes: Notes) -> None:
    """List Python that lies beside weights; what it calls decides how loudly."""
    notes.rides(where)
    calls = sorted({match[0] for match in _COMMANDS.finditer(text)})
    if calls:
        notes.flaw("high", "python-code", where, f"Python that uses {', '.join(calls[:5])}")
    else:
        notes.flaw("medium", "python-code", where, "Python that a loader may run")
