"""TensorFlow's SavedModel: a graph of operations in Protocol Buffers. What is looked for touches files, the network or Python.

Every operation of the graph and of its functions is read. One that is on the list of those that reach outside is a finding of its own;
one that TensorFlow does not carry needs a library. Source: `saved_model.proto`, `meta_graph.proto`, `graph.proto`, `function.proto`.
"""

import re
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Final

from untaint.evidence.finding import Severity
from untaint.models.formats import json_text, keras_objects, wire
from untaint.models.formats.notes import Notes
from untaint.models.formats.window import Broken, Window
from untaint.models.formats.zips import escapes

_META_GRAPHS: Final = 2
_MOST_NAME: Final = 200
_MOST_NAMES: Final = 5000
"""Different operations of one graph; TensorFlow itself has 1,462."""
_TABLE: Final = bytes.fromhex("57fb808b247547db")
"""How a table of LevelDB ends."""
_REACHES: Final = {
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc", "NumpyFunc"), "runs Python"),
    **dict.fromkeys(("ReadFile", "WholeFileReaderV2", "ImmutableConst", "LoadAndRemapMatrix"), "reads a file"),
    **dict.fromkeys(("WriteFile", "Save", "SaveSlices", "WriteSummary", "CreateSummaryFileWriter"), "writes a file"),
    **dict.fromkeys(("TFRecordDataset", "TFRecordDatasetV2", "TextLineDataset", "TextLineDatasetV2"), "reads files"),
    **dict.fromkeys(("CacheDataset", "CacheDatasetV2", "SaveDataset", "SaveDatasetV2"), "writes files"),
    **dict.fromkeys(("DebugIdentity", "DebugIdentityV2", "DebugIdentityV3"), "sends data to an address"),
    **dict.fromkeys(("RpcCall", "RemoteCall", "DataServiceDataset", "DataServiceDatasetV4"), "calls another machine"),
    "MatchingFiles": "lists files",
    "PrintV2": "writes to a stream, which may be a file",
    "GeneratorDataset": "runs a function of the file's",
}
"""The best known operations that reach outside the graph, and how."""
_FAMILIES: Final = re.compile(
    r"Dataset|TPU|Collective|Debug|Summar|Reader|Iterator|Rpc|Proto|Send|Recv|^Restore|^Snapshot|^Xla|^Experimental"
)
"""The others come in families: data sets and their iterators, readers, summaries, debuggers, other machines, compiled programs."""
_KEEPS: Final = {"SaveV2": "save", "RestoreV2": "restore", "MergeV2Checkpoints": "save"}
"""Every SavedModel writes and reads its own weights, in functions of these names."""
_TABLES: Final = {"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"}
"""They read a list of words; an honest one is an asset of the model, and is said so."""
_CRITICAL: Final = ("runs Python", "writes", "reads a file", "sends", "calls another", "runs a")


@cache
def known() -> frozenset[str]:
    """Names of the operations that TensorFlow itself carries (release 2.21), without those that reach outside."""
    text = files("untaint.models.formats").joinpath("tensorflow_operations.txt").read_text(encoding="ascii")
    return frozenset(text.split())


def is_one(content: Window, notes: Notes) -> bool:
    """Whether it is a SavedModel: a schema version and graphs, and nothing else."""
    if content.head(1) not in {b"\x08", b"\x12"}:
        return False
    found = set()
    try:
        for field in wire.fields(content, notes):
            found.add((field.number, field.type))
            if not found <= {(1, 0), (2, 2)}:
                return False
        return (_META_GRAPHS, 2) in found and any(_graphs(content, notes))
    except Broken:
        return False


def _graphs(content: Window, notes: Notes) -> list[Window]:
    metas = list(wire.inner(content, notes, _META_GRAPHS))
    return [graph for meta in metas for graph in wire.inner(meta, notes, 2)]


def is_index(content: Window) -> bool:
    """Whether it is the index of TensorFlow's variables: names and places, a table as LevelDB writes it."""
    return content.size >= 48 and content.get(content.size - 8, 8) == _TABLE


def is_graph(content: Window, notes: Notes) -> bool:
    """Whether it is a graph alone, as TensorFlow 1 froze them: nodes that have a name and an operation."""
    if content.head(1) != b"\x0a":
        return False
    try:
        first = next(wire.inner(content, notes, 1))
        node = {field.number: wire.text(first, field) for field in wire.fields(first, notes) if field.type == 2}
    except (Broken, StopIteration):
        return False
    return 1 in node and re.fullmatch(r"[A-Z]\w*", node.get(2, "")) is not None


def scan_graph(content: Window, where: str, notes: Notes) -> None:
    """Look at every operation of a graph alone."""
    operations: Counter[str] = Counter()
    _graph(content, operations, where, notes)
    for name, count in sorted(operations.items()):
        _operation(name, count, where, notes)


def scan_metadata(content: Window, where: str, notes: Notes) -> None:
    """Look at `keras_metadata.pb`, in which Keras 2 keeps the configuration of every layer beside a SavedModel."""
    for node in wire.inner(content, notes, 1):
        for metadata in wire.inner(node, notes, 5):
            keras_objects.scan(json_text.read(metadata.get(0, metadata.size)), where, notes)


def scan(content: Window, where: str, notes: Notes) -> None:
    """Look at every operation, and at the files it names."""
    operations: Counter[str] = Counter()
    for graph in _graphs(content, notes):
        _graph(graph, operations, where, notes)
    for name, count in sorted(operations.items()):
        _operation(name, count, where, notes)
    for meta in wire.inner(content, notes, _META_GRAPHS):
        for asset in wire.inner(meta, notes, 6):
            _asset(asset, where, notes)


def _graph(content: Window, operations: Counter[str], where: str, notes: Notes) -> None:
    _nodes(content, 1, operations, notes)
    for library in wire.inner(content, notes, 2):
        for function in wire.inner(library, notes, 1):
            _function(function, operations, where, notes)


def _nodes(content: Window, number: int, operations: Counter[str], notes: Notes) -> None:
    for node in wire.inner(content, notes, number):
        for field in wire.fields(node, notes):
            if field.number == 2 and field.type == 2:
                operations[wire.text(node, field)[:_MOST_NAME]] += 1
                if len(operations) > _MOST_NAMES:
                    raise Broken(f"it has more than {_MOST_NAMES:,} different operations", "oversize")


def _function(content: Window, operations: Counter[str], where: str, notes: Notes) -> None:
    own: Counter[str] = Counter()
    _nodes(content, 3, own, notes)
    operations.update(own)
    kept = [name for name in own if name in _KEEPS]
    names = [
        wire.text(each, field)
        for each in wire.inner(content, notes, 1)
        for field in wire.fields(each, notes)
        if field.number == 1
    ]
    for name in kept:
        if not any(re.match(rf"__inference__traced_{_KEEPS[name]}_\d+$", each) for each in names):
            said = f"the function {names[0][:80] if names else '?'!r} uses {name}, which belongs to saving and restoring alone"
            notes.flaw("high", "graph-operation", where, said)


def _operation(name: str, count: int, where: str, notes: Notes) -> None:
    times = f" ({count} times)" if count > 1 else ""
    if name in _REACHES:
        severity: Severity = "critical" if _REACHES[name].startswith(_CRITICAL) else "high"
        notes.flaw(severity, "graph-operation", where, f"the operation {name} {_REACHES[name]}{times}")
    elif name in _TABLES:
        notes.flaw("low", "graph-operation", where, f"the operation {name} reads a list of words from an asset{times}")
    elif name not in known() and _FAMILIES.search(name):
        said = f"the operation {name[:80]!r} is of a family that reaches outside the graph{times}"
        notes.flaw("high", "graph-operation", where, said)
    elif name not in known():
        said = f"the operation {name[:80]!r} is not one of TensorFlow's{times}: it needs a library of its own"
        notes.flaw("high", "custom-operator", where, said)


def _asset(content: Window, where: str, notes: Notes) -> None:
    for field in wire.fields(content, notes):
        if field.number == 2 and field.type == 2:
            name = wire.text(content, field)
            if escapes(name):
                notes.flaw("critical", "outside-file", where, f"its asset {name[:120]!r} lies outside its folder")
            else:
                notes.rides(f"{where}: assets/{name}" if where else f"assets/{name}")
