"""The user's own model in place of the proxy: a house network in safetensors, any torch module from Python, or one of Keras."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from scipy.special import softmax
from torch import Tensor, nn

from untaint.errors import BadInput
from untaint.nets import foreign_keras
from untaint.nets.convnet import ConvNet, ConvNetSpec, to_batch
from untaint.nets.training import Observed
from untaint.types import Pixels, Rows

_METADATA = "untaint.convnet"
_ADVICE = (
    "Give a .safetensors file written by untaint or a .keras file, or pass your torch module or Keras model from Python: "
    "untaint.audit(data, model=module)."
)


def save(net: ConvNet, path: Path) -> None:
    """Write a house network as safetensors, its shape in the metadata."""
    spec = {field: getattr(net.spec, field) for field in ("height", "width", "channels", "classes", "widths", "hidden")}
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path, {_METADATA: json.dumps(spec)})


def load(path: Path) -> ConvNet:
    """A house network from safetensors; no code runs. Raises BadInput for anything else."""
    if not path.is_file():
        raise BadInput(f"no such model file: {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path} is not a safetensors file: {error}.", advice=_ADVICE) from error
    if _METADATA not in metadata:
        raise BadInput(f"{path} does not say which network its weights belong to.", advice=_ADVICE)
    try:
        shape = json.loads(metadata[_METADATA])
        net = ConvNet(ConvNetSpec(**{**shape, "widths": tuple(shape["widths"])}))
        net.load_state_dict(weights)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise BadInput(f"{path} describes a network its weights do not fit: {error}.", advice=_ADVICE) from error
    return net.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]


def digest(model: Path | nn.Module | Any) -> str:
    """SHA-256 of a model file, or of a module's class and weights."""
    if isinstance(model, Path):
        return hashlib.sha256(model.read_bytes()).hexdigest() if model.is_file() else ""
    if foreign_keras.is_keras(model):
        return foreign_keras.digest(model)
    hasher = hashlib.sha256(repr(model).encode())
    for name, value in sorted(model.state_dict().items()):
        hasher.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return hasher.hexdigest()


@torch.no_grad()
def observe(model: Path | nn.Module | Any, pixels: Pixels, rows: Rows, batch: int = 500) -> Observed:
    """What the model makes of some rows: the input of its last linear layer, and its probabilities.

    A module takes (n, c, h, w) floats in 0..1 and returns logits (n, classes); for models of Keras see `foreign_keras.observe`.
    The module is left as it came, in training or not.
    Raises BadInput when it has no linear layer that sees every image once, or refuses the images.
    """
    if foreign_keras.is_keras(model):
        seen_by, answered, origin = foreign_keras.observe(model, pixels, rows, batch)
        return Observed(seen_by, answered, (), origin, np.empty((0, len(pixels)), np.float32))
    net = load(model) if isinstance(model, Path) else model
    linear = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise BadInput("the model has no linear layer whose input could serve as features.", advice=_ADVICE)
    training = [layer for layer in net.modules() if layer.training]
    net.eval()
    seen: list[Tensor] = []
    hook = linear[-1].register_forward_hook(lambda _layer, inputs, _output: seen.append(inputs[0].flatten(1)))
    try:
        outputs = [net(to_batch(pixels[rows[i : i + batch]])) for i in range(0, len(rows), batch)]
    except RuntimeError as error:
        shape = "x".join(map(str, pixels.shape[1:]))
        raise BadInput(f"the model refuses images of {shape}: {error}.", advice=_ADVICE) from error
    finally:
        hook.remove()
        for layer in training:
            layer.training = True
    if sum(map(len, seen)) != len(rows):
        raise BadInput("the model's last linear layer does not see every image once, so it gives no features.", advice=_ADVICE)
    probabilities = softmax(torch.cat(outputs).numpy(), axis=1)
    name = model.name if isinstance(model, Path) else type(model).__name__
    return Observed(
        np.asarray(torch.cat(seen).numpy()), probabilities, (), f"given model {name}", np.empty((0, len(pixels)), np.float32)
    )
