"""What stands beside the weights in a folder and decides what they mean: architecture, labels, tokenizer, chat template, code."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from untaint.evidence.finding import Severity

_LARGEST = 200_000_000  # bytes of a file of JSON that is read; larger ones are compared by digest
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".npz", ".npy", ".h5", ".keras", ".onnx", ".gguf", ".msgpack", ".tflite")
_SHOWN = 8  # differences told one by one
_DEEP = 40
_CLIP = 120

_HARMLESS = ("transformers_version", "_name_or_path", "torch_dtype", "dtype", "use_cache", "_commit_hash", "_diffusers_version")
"""Keys that saving again changes by itself."""
_LABELS = ("id2label", "label2id", "classes")
_BY_NAME: Mapping[str, tuple[str, Severity]] = {
    "tokenizer.json": ("tokenizer", "high"),
    "vocab.json": ("tokenizer", "high"),
    "vocab.txt": ("tokenizer", "high"),
    "merges.txt": ("tokenizer", "high"),
    "tokenizer.model": ("tokenizer", "high"),
    "spiece.model": ("tokenizer", "high"),
    "added_tokens.json": ("tokenizer", "medium"),
    "special_tokens_map.json": ("tokenizer", "medium"),
    "tokenizer_config.json": ("tokenizer", "medium"),
    "chat_template.jinja": ("chat template", "high"),
    "chat_template.json": ("chat template", "high"),
    "config.json": ("config", "medium"),
    "model.json": ("config", "medium"),
    "generation_config.json": ("config", "low"),
    "preprocessor_config.json": ("config", "medium"),
}
"""What a file decides, and how bad it is when somebody changed it: a token that stands for another, and words put into every
conversation, turn a model without touching a weight."""


@final
@dataclass(frozen=True)
class Beside:
    """A file that differs. part: what it decides.  said: how it differs, clipped.  keys: differing keys, of JSON."""

    file: str
    part: str
    severity: Severity
    said: str
    keys: tuple[str, ...] = ()


def beside(old: Path, new: Path) -> tuple[Beside, ...]:
    """Files that differ between two folders, weights left out; nothing when one of them is a single file."""
    if not (old.is_dir() and new.is_dir()):
        return ()
    names = sorted({*_names(old), *_names(new)})
    found = (_file(name, old / name, new / name) for name in names)
    return tuple(each for each in found if each is not None)


def _names(folder: Path) -> list[str]:
    listed = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    told = (path.relative_to(folder).as_posix() for path in listed)
    return [
        name for name in told if not name.endswith(_WEIGHTS) and not name.endswith(".index.json") and not name.startswith(".")
    ]


def _file(name: str, old: Path, new: Path) -> Beside | None:
    last = name.rpartition("/")[2]
    part, severity = _BY_NAME.get(last, ("code", "high") if last.endswith(".py") else ("file", "info"))
    if not old.is_file() or not new.is_file():
        was = "is new" if new.is_file() else "is gone"
        return Beside(name, part, severity if new.is_file() else _softer(severity), f"{name} {was}")
    if _digest(old) == _digest(new):
        return None
    before, after = _json(old), _json(new)
    if before is None or after is None:
        return Beside(name, part, severity, f"{name} was changed")
    differing = _differences("", before, after, 0)
    if not differing:
        return Beside(name, part, "info", f"{name} is written in another way, and says the same")
    return _told(name, part, severity, differing)


def _told(name: str, part: str, severity: Severity, differing: Mapping[str, str]) -> Beside:
    keys = tuple(differing)
    if any("chat_template" in key for key in keys):
        part, severity = "chat template", "high"
    elif any(key.split(".")[0] in _LABELS for key in keys):
        part, severity = "labels", "high"
    elif any(key.split(".")[0] == "auto_map" for key in keys):
        part, severity = "code", "high"
    elif all(key.split(".")[0] in _HARMLESS for key in keys):
        severity = "info"
    shown = "; ".join(f"{key}: {differing[key]}" for key in keys[:_SHOWN])
    more = f"; and {len(keys) - _SHOWN:,} more" if len(keys) > _SHOWN else ""
    return Beside(name, part, severity, f"{name} was changed: {shown}{more}", keys[:1000])


def _softer(severity: Severity) -> Severity:
    return "medium" if severity == "high" else severity


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _json(path: Path) -> Any:
    if path.suffix != ".json" or path.stat().st_size > _LARGEST:
        return None
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None


def _differences(key: str, old: Any, new: Any, depth: int) -> dict[str, str]:
    """Every key at which two documents differ, and how."""
    if old == new:
        return {}
    if depth < _DEEP and isinstance(old, dict) and isinstance(new, dict):
        found: dict[str, str] = {}
        for name in [*old, *(name for name in new if name not in old)]:
            inner = f"{key}.{name}" if key else str(name)
            if name not in new:
                found[inner] = f"{_said(old[name])} is gone"
            elif name not in old:
                found[inner] = f"{_said(new[name])} is new"
            else:
                found |= _differences(inner, old[name], new[name], depth + 1)
        return found
    if depth < _DEEP and isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return {name: said for at, (a, b) in pairs for name, said in _differences(f"{key}.{at}", a, b, depth + 1).items()}
    return {key or "all": f"{_said(old)} became {_said(new)}"}


def _said(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _CLIP else f"{text[:_CLIP]}…"
