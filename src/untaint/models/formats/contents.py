"""What some bytes are, by themselves and not by their name, and who looks into them."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final

from untaint.models.formats import (
    configs,
    gguf_file,
    hdf5_file,
    keras_file,
    numpy_file,
    onnx_file,
    safetensors_file,
    saved_model,
    tars,
    templates,
    torch_legacy,
    torch_zip,
    zips,
)
from untaint.models.formats.notes import Notes
from untaint.models.formats.pickles import Pickles, acts, is_pickle
from untaint.models.formats.stream import packing, unpacked
from untaint.models.formats.window import Broken, Window

FAULT: Final = "it could not be followed to its end, by a fault of this reader"
"""How a finding begins that should be reported to whoever keeps this."""
_MOST_TEXT: Final = 1 << 26
_HEAD: Final = 1 << 14
_PROGRAMS: Final = {
    b"\x7fELF": "a program or library for Linux",
    b"\xfe\xed\xfa\xce": "a program or library for macOS",
    b"\xfe\xed\xfa\xcf": "a program or library for macOS",
    b"\xcf\xfa\xed\xfe": "a program or library for macOS",
    b"\xca\xfe\xba\xbe": "a program or library for macOS or Java",
    b"\x00asm": "a WebAssembly program",
}
_ARCHIVES: Final = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"MSCF": "cab",
    b"\x1f\x9d": "compress",
    b"!<arch>": "ar",
}
_QUIET: Final = {
    b"\x89PNG\r\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF8": "gif",
    b"%PDF-": "pdf",
    b"RIFF": "riff",
    b"PAR1": "parquet",
}
"""Formats that hold no model and are often beside one."""
WEIGHTS: Final = {
    "safetensors", "torch-zip", "torch-legacy", "pickle", "keras", "hdf5", "onnx", "saved-model", "graph", "gguf", "npy", "npz", "tar",
    "zip", "skops", "compressed",
}  # fmt: skip
"""Formats that count as a model, or hold one."""
PICKLED: Final = {"torch-zip", "torch-legacy", "pickle", "tar", "zip", "compressed"}
"""Formats from which a loader may run code."""
_PICKLES: Final = {"pickle", "torch-legacy", "empty"}
_NAMED: Final[dict[str, set[str]]] = {
    ".safetensors": {"safetensors"},
    ".gguf": {"gguf"},
    ".onnx": {"onnx"},
    ".npy": {"npy"},
    ".npz": {"npz"},
    ".h5": {"hdf5"},
    ".hdf5": {"hdf5"},
    ".keras": {"keras", "hdf5"},
    ".json": {"json"},
    ".pt": {"torch-zip", "torch-legacy", "pickle", "tar", "safetensors"},
    ".pth": {"torch-zip", "torch-legacy", "pickle", "tar", "safetensors"},
    ".pkl": {"pickle", "compressed", "torch-zip", "torch-legacy", "npy"},
    ".joblib": {"pickle", "compressed"},
    **{
        name: {"pickle", "compressed", "torch-zip", "torch-legacy"} for name in (".pickle", ".p", ".sav", ".dill", ".cloudpickle")
    },
    ".ckpt": {"pickle", "torch-zip", "torch-legacy", "tar", "safetensors", "hdf5", "tensorflow-numbers"},
    **{name: {"text", "json", "other"} for name in (".txt", ".md", ".yaml", ".yml", ".jinja", ".py", ".csv", ".toml")},
    **{name: {"other"} for name in (".png", ".jpg", ".jpeg", ".gif", ".pdf")},
}
"""What a name promises. `.bin` and `.data` promise nothing."""
_ORDER: Final = re.compile(r"\.[A-Za-z0-9]{1,12}$")


def look(content: Window, where: str, notes: Notes, depth: int) -> None:
    """Look at content found in other content; what is wrong with it is noted, never raised."""
    place = len(notes.formats)
    notes.formats.append("unknown")
    try:
        kind = notes.formats[place] = kind_of(content, notes)
        if kind not in _PICKLES and acts(content):
            notes.flaw("critical", "second-reading", where, f"it is {kind}, and to an unpickler a pickle that calls something")
        if content.head(2) != b"PK" and kind != "zip" and _has_directory(content):
            notes.flaw("high", "second-reading", where, f"it is {kind} from its start, and a zip archive from its end")
            _guarded("zip", content, where, notes, depth)
        kind = notes.formats[place] = _guarded(kind, content, where, notes, depth)
    except Exception as error:  # noqa: BLE001 - a fault of a reader here must be a finding, neither a pass nor the end of the scan
        notes.flaw("high", "malformed", where, f"{FAULT} ({type(error).__name__}: {str(error)[:80]})")
        return
    if depth > 1 and kind in {"zip", "tar"}:
        notes.flaw("medium", "nested-archive", where, f"an archive within an archive ({kind})")


def _guarded(kind: str, content: Window, where: str, notes: Notes, depth: int) -> str:
    try:
        return read(kind, content, where, notes, depth)
    except Broken as error:
        notes.flaw("high", error.rule, where, f"as {kind}: {error}; what comes after was not read")
        return kind


def named_well(name: str, kind: str) -> bool:
    """Whether a file's name fits what is in it."""
    promised = _NAMED.get(PurePosixPath(name).suffix.lower())
    return promised is None or kind in promised or kind == "empty"


_SIGNED: Final[tuple[tuple[str, Callable[[Window, bytes], bool]], ...]] = (
    ("empty", lambda _content, head: not head),
    ("gguf", lambda _content, head: head[:4] == gguf_file.MAGIC),
    ("npy", lambda _content, head: head[:6] == numpy_file.MAGIC),
    ("zip", lambda _content, head: head[:2] == b"PK"),
    ("archive", lambda _content, head: any(head.startswith(magic) for magic in _ARCHIVES)),
    ("torch-legacy", lambda content, _head: torch_legacy.is_one(content)),
    ("tar", lambda content, _head: tars.is_one(content)),
    ("compressed", lambda _content, head: packing(head) is not None),
    ("hdf5", lambda content, _head: hdf5_file.begins(content) >= 0),
    ("program", lambda _content, head: any(head.startswith(magic) for magic in _PROGRAMS) or head[:2] == b"MZ"),
    ("other", lambda _content, head: any(head.startswith(magic) for magic in _QUIET)),
    ("safetensors", lambda content, _head: safetensors_file.is_one(content)),
    ("tensorflow-index", lambda content, _head: saved_model.is_index(content)),
    ("pickle", lambda content, _head: is_pickle(content)),
)
"""Formats in the order they are asked for: first those with a signature, then those told by their structure."""


def kind_of(content: Window, notes: Notes) -> str:
    """What it is, by its bytes."""
    head = content.head(_HEAD)
    for kind, is_one in _SIGNED:
        if is_one(content, head):
            return kind
    if saved_model.is_one(content, notes):
        return "saved-model"
    if onnx_file.is_one(content, notes):
        return "onnx"
    if saved_model.is_graph(content, notes):
        return "graph"
    return "zip" if _has_directory(content) else _text(content, head)


def _text(content: Window, head: bytes) -> str:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) < _HEAD or error.start < _HEAD - 4:
            return "unknown"
        text = head[: error.start].decode("utf-8")
    if any(ord(letter) < 32 and letter not in "\t\n\r\f\x1b" for letter in text):
        return "unknown"
    first = text.lstrip()[:1]
    last = content.get(max(0, content.size - 64), min(64, content.size)).rstrip()[-1:]
    return "json" if (first, last) in {("{", b"}"), ("[", b"]")} else "text"


def _has_directory(content: Window) -> bool:
    """Whether a zip reader, which begins at the end, would take it."""
    if content.size < 22:
        return False
    at = content.rfind(b"PK\x05\x06", max(0, content.size - 22 - 65_535))
    return at >= 0 and content.size - at >= 22 and at + 22 + content.number(at + 20, 2) <= content.size


def read(kind: str, content: Window, where: str, notes: Notes, depth: int) -> str:
    """Look into content of a kind; the kind, told more closely. Raises Broken where it cannot be followed to its end."""
    if kind == "zip":
        return _zip(content, where, notes, depth)
    if kind == "archive":
        notes.flaw("high", "nested-archive", where, "an archive of a kind that is not read here")
    elif kind == "program":
        notes.flaw("high", "native-code", where, _program(content.head(8)))
    elif kind in {"json", "text"}:
        _words(kind, content, where, notes)
    elif kind in _DEEP:
        _DEEP[kind](content, where, notes, depth)
    elif kind in _PLAIN:
        _PLAIN[kind](content, where, notes)
    return kind


def _zip(content: Window, where: str, notes: Notes, depth: int) -> str:
    """Look into a zip archive, and say what it is of."""
    archive = zips.read(content, where, notes)
    if keras_file.is_one(archive):
        keras_file.scan(archive, where, notes, depth)
        return "keras"
    if numpy_file.is_archive(archive):
        numpy_file.scan_archive(archive, where, notes, depth)
        return "npz"
    if torch_zip.is_one(archive):
        torch_zip.scan(archive, where, notes, depth)
        return "torch-zip"
    for member in zips.checked(archive, where, notes):
        notes.inside(member.inflated(notes), f"{where}: {member.name}" if where else member.name, depth)
    if archive.member("schema.json") is not None:
        return "skops"
    notes.flaw("medium", "nested-archive", where, "a zip archive of no model's layout; its members were looked into one by one")
    return "zip"


def _compressed(content: Window, where: str, notes: Notes, depth: int) -> None:
    kind = packing(content.head(16)) or ""
    inside, after = unpacked(content, kind, notes)
    if after:
        notes.flaw("high", "trailing-data", where, f"{after:,} bytes follow what {kind} compressed")
    notes.inside(inside, f"{where}: inflated" if where else "inflated", depth)


_DEEP: Final[dict[str, Callable[[Window, str, Notes, int], object]]] = {
    "pickle": lambda content, where, notes, depth: Pickles(content, where, notes, depth).scan(),
    "torch-legacy": torch_legacy.scan,
    "tar": tars.scan,
    "compressed": _compressed,
    "npy": numpy_file.scan,
}
"""Who looks into formats that can hold others."""
_PLAIN: Final[dict[str, Callable[[Window, str, Notes], object]]] = {
    "safetensors": safetensors_file.scan,
    "gguf": gguf_file.scan,
    "hdf5": hdf5_file.scan,
    "onnx": onnx_file.scan,
    "saved-model": saved_model.scan,
    "graph": saved_model.scan_graph,
}


def _program(head: bytes) -> str:
    found = next((what for magic, what in _PROGRAMS.items() if head.startswith(magic)), "a program for Windows")
    return f"{found} lies with the model"


def _words(kind: str, content: Window, where: str, notes: Notes) -> None:
    name = where.rpartition(": ")[2] or where
    suffix = (_ORDER.search(name) or [""])[0].lower()
    if content.size > _MOST_TEXT:
        notes.flaw("low", "unread", where, f"a text of {content.size:,} bytes was not looked into")
        return
    raw = content.get(0, content.size)
    text = raw.decode("utf-8", "replace")
    if suffix == ".pbtxt":
        notes.flaw("high", "unread", where, "a graph written as text, which is not read here")
    elif suffix == ".json" or (kind == "json" and not suffix):
        configs.scan_json(raw, name, where, notes)
    elif suffix in {".jinja", ".jinja2", ".j2"}:
        notes.rides(where)
        templates.scan(text, where, notes)
    elif suffix in {".yaml", ".yml"}:
        configs.scan_yaml(text, where, notes)
    elif suffix in {".py", ".pyw", ".ipynb"}:
        configs.scan_python(text, where, notes)
    elif suffix in {".sh", ".bat", ".ps1", ".js", ".lua", ".pth"}:
        notes.rides(where)
        notes.flaw("medium", "python-code", where, f"a script ({suffix[1:]}) lies with the model")
    if text.startswith("#!") and suffix != ".py":
        notes.rides(where)
        notes.flaw("high", "native-code", where, "a script lies with the model")
