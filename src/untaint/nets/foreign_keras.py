"""The user's own Keras model in place of the proxy: a `.keras` file, of which no code runs, or a model given from Python."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from scipy.special import softmax

from untaint.errors import BadInput, MissingExtra
from untaint.types import Pixels, Rows

SUFFIX = ".keras"
_CONFIG = "config.json"
_LARGEST_CONFIG = 64 * 2**20  # bytes: those of networks with thousands of layers have a few
_RUNS_CODE = frozenset(
    {"Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer", "function", "__lambda__", "__tensor_function__"}
)
"""What a file of Keras may name that unpacks or calls code of its own, or reads other files."""
_ADVICE = "Give a file of layers that come with Keras, or pass the model from Python: untaint.audit(data, model=model)."
_NEARLY = 1e-3  # rounding of probabilities that sum to 1


def is_keras(model: object) -> bool:
    """Whether a model is one of Keras: an object of it, or a path to its format."""
    if isinstance(model, Path):
        return model.suffix == SUFFIX
    return any(base.__module__.split(".")[0] == "keras" for base in type(model).__mro__)


def load(path: Path) -> Any:
    """The model of a `.keras` file, in Keras' safe mode and only with layers that come with Keras. Raises BadInput for anything else."""
    keras = _keras()
    try:
        with ZipFile(path) as file:
            entry = file.getinfo(_CONFIG)
            if entry.file_size > _LARGEST_CONFIG:
                raise BadInput(f"{path} describes its layers in {entry.file_size:,} bytes; that is no network.", advice=_ADVICE)
            config = json.loads(file.read(entry))
        for name in _outside(config):
            raise BadInput(f"{path} holds {name}: that could run code of whoever made the file.", advice=_ADVICE)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (BadZipFile, KeyError, OSError, ValueError, TypeError, RecursionError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BadInput(f"{path} is not a model of Keras: {first}", advice=_ADVICE) from error


def _outside(config: Any) -> Iterator[str]:
    """What a description names that is not Keras' own, or runs code."""
    for each in _objects(config):
        module, kind = each.get("module"), each.get("class_name")
        if kind in _RUNS_CODE:
            yield f"a {kind}"
        elif module not in {None, "builtins"} and str(module).split(".")[0] != "keras":
            yield f"{kind} of {module}"
        elif each.get("registered_name") not in {None, kind}:
            yield f"{each['registered_name']}, which does not come with Keras"


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for each in value.values():
            yield from _objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from _objects(each)


def digest(model: Any) -> str:
    """SHA-256 of a model's class, layers and weights."""
    keras = _keras()
    hasher = hashlib.sha256(f"{type(model).__module__}.{type(model).__qualname__}".encode())
    hasher.update(repr([(layer.name, type(layer).__qualname__) for layer in model.layers]).encode())
    for variable in model.variables:
        hasher.update(variable.path.encode() + np.ascontiguousarray(keras.ops.convert_to_numpy(variable.value)).tobytes())
    return hasher.hexdigest()


def observe(model: Any, pixels: Pixels, rows: Rows, batch: int) -> tuple[np.ndarray, np.ndarray, str]:
    """The input (m, d) of the last dense layer, probabilities (m, classes), and the model's name.

    The model takes (n, h, w, c) floats in 0..1, in evaluation, and answers logits or probabilities. It is left as it came.
    Raises BadInput when it has no dense layer that sees every image once, or refuses the images.
    """
    keras = _keras()
    net = load(model) if isinstance(model, Path) else model
    dense = [layer for layer in _layers(keras, net) if isinstance(layer, keras.layers.Dense)]
    if not dense:
        raise BadInput("the model has no dense layer whose input could serve as features.", advice=_ADVICE)
    last, seen, outputs = dense[-1], [], []
    call = last.call

    def heard(inputs: Any, *given: Any, **named: Any) -> Any:
        seen.append(keras.ops.convert_to_numpy(inputs).reshape(len(inputs), -1))
        return call(inputs, *given, **named)

    last.call = heard
    try:
        for start in range(0, len(rows), batch):
            images = pixels[rows[start : start + batch]].astype(np.float32) / 255
            outputs.append(keras.ops.convert_to_numpy(net(images, training=False)))
    except Exception as error:  # each backend raises errors of its own
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BadInput(f"the model refuses images of {'x'.join(map(str, pixels.shape[1:]))}: {first}", advice=_ADVICE) from error
    finally:
        del last.call
    if sum(map(len, seen)) != len(rows) or np.concatenate(outputs).ndim != 2:
        raise BadInput("the model's last dense layer does not see every image once, so it gives no features.", advice=_ADVICE)
    name = f"given model {model.name}" if isinstance(model, Path) else f"given model {type(net).__name__}"
    return np.concatenate(seen), _probabilities(np.concatenate(outputs)), name


def _probabilities(outputs: np.ndarray) -> np.ndarray:
    """(n, classes) of logits, or of what are probabilities already."""
    if outputs.min() >= 0 and np.abs(outputs.sum(1) - 1).max() < _NEARLY:
        return outputs
    return np.asarray(softmax(outputs, axis=1))


def _layers(keras: Any, model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield from _layers(keras, layer) if isinstance(layer, keras.Model) else [layer]


def _keras() -> Any:
    try:
        import keras
    except ImportError as error:
        raise MissingExtra("a Keras model for features", "tensorflow") from error
    return keras
