"""Honest model files, written by the libraries themselves: what a scanner must pass without a word that matters."""

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

Write = Callable[[Path], Path]
"""Folder → file or folder written."""


def _torch(name: str, make: Callable[[Any], object], **how: Any) -> tuple[str, Write]:
    def write(folder: Path) -> Path:
        import torch

        torch.manual_seed(0)
        torch.save(make(torch), folder / "model.pt", **how)
        return folder / "model.pt"

    return f"torch: {name}", write


def _net(torch: Any) -> Any:
    nn = torch.nn
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))


def _trained(torch: Any, kind: str) -> dict[str, Any]:
    """A checkpoint in the middle of a run: weights, state of the optimiser, schedule, random numbers."""
    net = _net(torch)
    optimiser = getattr(torch.optim, kind)(net.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10)
    for _ in range(2):
        net(torch.randn(2, 1, 28, 28)).sum().backward()
        optimiser.step()
        schedule.step()
    state = schedule.state_dict()
    return {"model": net.state_dict(), "optimiser": optimiser.state_dict(), "schedule": state, "epoch": 3, "loss": 0.5,
            "random": torch.get_rng_state(), "names": ["a", "b"], "size": torch.Size([1, 28, 28])}  # fmt: skip


def _tied(torch: Any) -> dict[str, Any]:
    weight = torch.randn(8, 4)
    return {"embedding": weight, "head": weight, "turned": weight.t(), "part": weight[2:4]}


def _formats(torch: Any) -> dict[str, Any]:
    names = ("float64", "float32", "float16", "bfloat16", "int8", "uint8", "int16", "int32", "int64", "bool", "complex64")
    odd = ("uint16", "float8_e4m3fn", "float8_e5m2")
    return {name: torch.zeros(3, 2).to(getattr(torch, name)) for name in (*names, *odd)}


def _quantised(torch: Any) -> dict[str, Any]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = torch.quantize_per_tensor(torch.randn(4, 2), 0.1, 0, torch.qint8)
        each = torch.quantize_per_channel(torch.randn(3, 2), torch.ones(3), torch.zeros(3), 0, torch.qint8)
    return {"one": one, "each": each}


def _sparse(torch: Any) -> dict[str, Any]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {"coo": torch.eye(3).to_sparse(), "csr": torch.eye(3).to_sparse_csr(), "empty": torch.zeros(0, 3)}


def _mixed(torch: Any) -> dict[str, Any]:
    """Tensors beside arrays and numbers of NumPy."""
    return {"a": torch.nn.Parameter(torch.ones(2)), "b": np.arange(3.0), "c": np.float64(2), "d": {1, 2}, "e": 1 + 2j, "f": b"xy",
            "device": torch.device("cpu"), "kind": torch.float16, "meta": torch.zeros(2, device="meta")}  # fmt: skip


def _safetensors(folder: Path) -> Path:
    from safetensors.numpy import save_file

    weights: dict[str, np.ndarray] = {"a": np.ones((3, 2), np.float32), "b": np.zeros(4, np.float16), "c": np.arange(5)}
    weights["empty"] = np.zeros((0, 2), np.int8)
    save_file(weights, folder / "model.safetensors", metadata={"format": "np"})
    return folder / "model.safetensors"


def _safetensors_torch(folder: Path) -> Path:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.ones(3, dtype=torch.bfloat16), "b": torch.zeros(2, 2)}, folder / "model.safetensors")
    return folder / "model.safetensors"


def _keras(name: str) -> tuple[str, Write]:
    def write(folder: Path) -> Path:
        import keras

        inputs = keras.Input((28, 28, 1))
        hidden = keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01))(inputs)
        hidden = keras.layers.BatchNormalization()(keras.layers.Flatten()(keras.layers.MaxPooling2D()(hidden)))
        hidden = keras.ops.relu(keras.layers.Dropout(0.1)(hidden))
        net = keras.Model(inputs, keras.layers.Dense(10, "softmax")(hidden))
        net.compile(
            keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10)), "sparse_categorical_crossentropy", ["accuracy"]
        )
        path = folder / name
        if name.endswith(".weights.h5"):
            net.save_weights(path)
        elif "." in name:
            net.save(path)
        else:
            net.export(path, verbose=False)
        return path

    return f"keras: {name}", write


def _npz(folder: Path) -> Path:
    np.savez(folder / "m.npz", a=np.ones((3, 2)), b=np.array(["x", "yy"]), c=np.zeros(2, [("f", "<f4"), ("g", "<i8", (2,))]))
    return folder / "m.npz"


def _npz_packed(folder: Path) -> Path:
    np.savez_compressed(folder / "m.npz", a=np.zeros((100, 100)), b=np.arange(4))
    return folder / "m.npz"


def _npy(folder: Path) -> Path:
    np.save(folder / "m.npy", np.asfortranarray(np.ones((3, 4), np.complex64)))
    return folder / "m.npy"


def _pickle(protocol: int) -> tuple[str, Write]:
    def write(folder: Path) -> Path:
        import collections

        held = {
            "w": np.ones((2, 3), np.float32),
            "order": collections.OrderedDict(a=1),
            "n": np.int64(3),
            "text": "é" * 300,
            "big": 10**30,
        }
        held["counts"] = collections.Counter("abca")
        held["masked"] = np.ma.masked_array([1, 2], [True, False])
        (folder / "m.pkl").write_bytes(pickle.dumps(held, protocol))
        return folder / "m.pkl"

    return f"pickle: protocol {protocol}", write


def _pickled_tensors(folder: Path) -> Path:
    import torch

    (folder / "m.pkl").write_bytes(pickle.dumps(_net(torch).state_dict()))
    return folder / "m.pkl"


def _joblib(how: Any, name: str) -> tuple[str, Write]:
    def write(folder: Path) -> Path:
        import joblib

        held = {"w": np.random.default_rng(0).normal(size=(50, 3)), "f": np.asfortranarray(np.ones((2, 3))), "n": [1, 2]}
        held["i"] = np.arange(7)
        joblib.dump(held, folder / "m.joblib", compress=how)
        return folder / "m.joblib"

    return f"joblib: {name}", write


def _onnx(folder: Path) -> Path:
    import onnx
    from onnx import helper

    weight = helper.make_tensor("w", onnx.TensorProto.FLOAT, [2, 2], [1.0, 2.0, 3.0, 4.0])
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
    onnx.save(helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], [weight])), folder / "m.onnx")
    return folder / "m.onnx"


def _onnx_outside(folder: Path) -> Path:
    """Numbers in a file beside the graph, as models above 2 GB have them."""
    import onnx

    model = onnx.load(_onnx(folder))
    for tensor in model.graph.initializer:
        tensor.raw_data = np.arange(4, dtype=np.float32).tobytes()
        tensor.ClearField("float_data")
    home = folder / "model"
    home.mkdir()
    onnx.save_model(model, home / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    return home


def _gguf(folder: Path) -> Path:
    import gguf

    path = folder / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_chat_template("{% for m in messages %}{{ m['role'] }}: {{ m['content'] | trim }}\n{% endfor %}")
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_tensor("w", np.ones((4, 32), np.float32))
    writer.add_tensor("v", np.ones(5, np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _snapshot(folder: Path) -> Path:
    """A folder as a hub keeps one: weights, configuration, words, notes."""
    import json

    home = folder / "snapshot"
    home.mkdir()
    _safetensors(home)
    (home / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8}))
    (home / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "X", "chat_template": _TEMPLATE}))
    (home / "vocab.txt").write_text("[PAD]\n[UNK]\nthe\n")
    (home / "README.md").write_text("# A model\n\nconfiguration and such.\n")
    (home / ".gitattributes").write_text("*.safetensors filter=lfs\n")
    return home


_TEMPLATE: Final = (
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] | trim %}{%- endif %}"
    "{%- set ns = namespace(first=true) %}{%- for message in messages[1:] %}{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('turns must alternate') }}{%- endif %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' }}{{- message['content'] | trim }}"
    "{%- if message.tool_calls is defined %}{{- message.tool_calls | map(attribute='name') | list | tojson(indent=2) }}{%- endif %}"
    "{%- set ns.first = false %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
HONEST: Final[tuple[tuple[str, Write], ...]] = (
    _torch("state dict", lambda torch: _net(torch).state_dict()),
    _torch("state dict, legacy", lambda torch: _net(torch).state_dict(), _use_new_zipfile_serialization=False),
    _torch("checkpoint with Adam", lambda torch: _trained(torch, "Adam")),
    _torch("checkpoint with SGD", lambda torch: _trained(torch, "SGD")),
    _torch("checkpoint, legacy", lambda torch: _trained(torch, "AdamW"), _use_new_zipfile_serialization=False),
    _torch("tied tensors", _tied),
    _torch("tied tensors, legacy", _tied, _use_new_zipfile_serialization=False),
    _torch("formats of numbers", _formats),
    _torch("quantised", _quantised),
    _torch("sparse and empty", _sparse),
    _torch("mixed with NumPy", _mixed),
    _torch("protocol 4", lambda torch: _net(torch).state_dict(), pickle_protocol=4),
    _torch("one tensor", lambda torch: torch.ones(3)),
    ("safetensors: numpy", _safetensors),
    ("safetensors: torch", _safetensors_torch),
    _keras("m.keras"),
    _keras("m.h5"),
    _keras("m.weights.h5"),
    _keras("saved"),
    ("numpy: npz", _npz),
    ("numpy: npz, compressed", _npz_packed),
    ("numpy: npy", _npy),
    *(_pickle(protocol) for protocol in range(6)),
    ("pickle: tensors", _pickled_tensors),
    _joblib(0, "plain"),
    *(_joblib((kind, 3), kind) for kind in ("zlib", "gzip", "bz2", "lzma", "xz")),
    ("onnx: numbers inside", _onnx),
    ("onnx: numbers beside", _onnx_outside),
    ("gguf", _gguf),
    ("snapshot", _snapshot),
)
"""Name and how it is written. Whole modules are not among them: `torch.save(net)` pickles classes, whose state may hold code, and
PyTorch itself has refused them by default since 2.6."""


def written(folder: Path) -> Iterator[tuple[str, Path | None]]:
    """Every file below a folder; None = a library that writes it is not installed."""
    for number, (name, write) in enumerate(HONEST):
        place = folder / f"honest-{number}"
        place.mkdir(parents=True)
        try:
            yield name, write(place)
        except ModuleNotFoundError:
            yield name, None
