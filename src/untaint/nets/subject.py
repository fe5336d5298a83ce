"""A model under test behind one interface, wherever it comes from: PyTorch, Keras, ONNX, or a function of arrays."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from untaint.errors import BadInput, MissingExtra
from untaint.nets import foreign, foreign_keras
from untaint.types import Labels

_BATCH = 256
_ADVICE = (
    "Give a torch module, a Keras model, a .safetensors file of untaint's own, a .keras or .onnx file, or a function that returns "
    "logits."
)
_STAGES = 6
"""Layers watched at most, spread evenly over the depth: later ones tell more, and each costs its activations in memory."""
_TELLING = nn.ReLU | nn.GELU | nn.SiLU | nn.LayerNorm
_TINY = 1e-12  # under it the logarithm of a probability is cut off

Inputs = np.ndarray
"""Images (n, h, w, c) uint8, or whatever rows (n, ...) of floats or whole numbers the model takes."""

Digest = Callable[[np.ndarray], np.ndarray]
"""What is kept of a layer's outputs for some inputs, (m, ...) to (m, d)."""


@final
@dataclass(frozen=True)
class Reference:
    """Inputs somebody vouches for, with their true classes (n,), and the names of the classes."""

    inputs: Inputs
    labels: Labels
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels):
            raise BadInput(f"{len(self.inputs):,} inputs have {len(self.labels):,} labels.", advice="Give one label for each.")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise BadInput(f"labels are codes 0..{len(self.classes) - 1}, these reach {self.labels.min()}..{self.labels.max()}.")


class Subject(ABC):
    """A model that answers; in evaluation, left as it came.

    name: for people.  module: the torch module behind it where there is one: only then are there gradients.
    """

    name: str
    module: nn.Module | None = None

    @abstractmethod
    def logits(self, inputs: Inputs) -> np.ndarray:
        """(n, classes) float32; of models that answer probabilities, their logarithms. Raises BadInput for inputs it refuses."""

    @abstractmethod
    def layers(self, inputs: Inputs) -> tuple[np.ndarray, ...]:
        """What a few of its layers give, shallow to deep, each (n, ...) with channels first; () = a black box."""

    @abstractmethod
    def traced(self, inputs: Inputs, digest: Digest) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """`logits(inputs)`, and a digest of each of `layers(inputs)`, in one forward pass."""


@final
class TorchSubject(Subject):
    """A torch module that takes (n, c, h, w) floats in 0..1 (images) or the rows as they are, and returns logits (n, classes)."""

    def __init__(self, module: nn.Module, name: str | None = None) -> None:
        self.module: nn.Module = module
        self.name = name or type(module).__name__

    @override
    def logits(self, inputs: Inputs) -> np.ndarray:
        return np.concatenate([self._run(part).float().cpu().numpy() for part in _parts(inputs)])

    @override
    def layers(self, inputs: Inputs) -> tuple[np.ndarray, ...]:
        return self.traced(inputs, _whole)[1]

    @override
    def traced(self, inputs: Inputs, digest: Digest) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        seen: dict[int, list[np.ndarray]] = {}
        telling = watched(self.module)
        hooks = [layer.register_forward_hook(_keeper(seen, at, digest)) for at, layer in enumerate(telling)]
        try:
            logits = self.logits(inputs)
        finally:
            for hook in hooks:
                hook.remove()
        whole = (np.concatenate(seen[at]) for at in sorted(seen))
        return logits, tuple(each for each in whole if len(each) == len(inputs))

    def tensor(self, inputs: Inputs) -> Tensor:
        """Inputs as the module takes them, on its device."""
        first = next(iter(self.module.parameters()), None)
        given = as_tensor(inputs)
        if first is None:
            return given
        return given.to(first.device, first.dtype if given.is_floating_point() and first.is_floating_point() else None)

    @torch.no_grad()
    def _run(self, inputs: Inputs) -> Tensor:
        with evaluating(self.module):
            try:
                answer = self.module(self.tensor(inputs))
            except (RuntimeError, TypeError, ValueError, IndexError) as error:
                raise _refused(inputs, error) from error
        if not isinstance(answer, Tensor) or answer.ndim != 2 or len(answer) != len(inputs):
            raise BadInput(f"{self.name} does not answer with one row of logits per input.", advice=_ADVICE)
        return answer


@final
class KerasSubject(Subject):
    """A Keras model that takes (n, h, w, c) floats in 0..1 (images) or the rows as they are."""

    def __init__(self, model: Any, name: str | None = None) -> None:
        self.model, self.module = model, None
        self.name = name or type(model).__name__

    @override
    def logits(self, inputs: Inputs) -> np.ndarray:
        return _as_logits(np.concatenate([self._run(self.model, part) for part in _parts(inputs)]))

    @override
    def layers(self, inputs: Inputs) -> tuple[np.ndarray, ...]:
        return self.traced(inputs, _whole)[1]

    @override
    def traced(self, inputs: Inputs, digest: Digest) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        import keras

        wanted = [layer for layer in self.model.layers if layer.weights or "activation" in type(layer).__name__.lower()]
        if not wanted or not getattr(self.model, "inputs", None):
            return self.logits(inputs), ()
        chosen = _spread([layer.output for layer in wanted[:-1]])
        asked = self.model.inputs[0] if len(self.model.inputs) == 1 else self.model.inputs
        inner = keras.Model(asked, [*self.model.outputs, *chosen])
        outputs = []
        for part in _parts(inputs):
            answer, *rest = self._run_many(inner, part)
            outputs.append([answer, *(digest(_channels_first(each)) for each in rest)])
        answers, *kept = (np.concatenate(each) for each in zip(*outputs, strict=True))
        return _as_logits(answers), tuple(kept)

    def _run(self, model: Any, inputs: Inputs) -> np.ndarray:
        return self._run_many(model, inputs)[0]

    @staticmethod
    def _run_many(model: Any, inputs: Inputs) -> list[np.ndarray]:
        import keras

        floats = inputs.astype(np.float32) / 255 if inputs.dtype == np.uint8 else inputs
        try:
            found = model(floats, training=False)
        except Exception as error:  # each backend raises errors of its own
            raise _refused(inputs, error) from error
        many = found if isinstance(found, list | tuple) else [found]
        return [np.asarray(keras.ops.convert_to_numpy(each), np.float32) for each in many]


@final
class FunctionSubject(Subject):
    """A function from inputs (n, ...) to logits or probabilities (n, classes). A black box."""

    def __init__(self, answers: Callable[[Inputs], Any], name: str | None = None) -> None:
        self.answers, self.module = answers, None
        self.name = name or str(getattr(answers, "__name__", type(answers).__name__))

    @override
    def logits(self, inputs: Inputs) -> np.ndarray:
        parts = []
        for part in _parts(inputs):
            try:
                parts.append(np.asarray(self.answers(part), np.float32))
            except Exception as error:  # the user's code may raise anything
                raise _refused(part, error) from error
        found = np.concatenate(parts)
        if found.ndim != 2 or len(found) != len(inputs):
            raise BadInput(f"{self.name} does not answer with one row of logits per input.", advice=_ADVICE)
        return _as_logits(found)

    @override
    def layers(self, inputs: Inputs) -> tuple[np.ndarray, ...]:
        return ()

    @override
    def traced(self, inputs: Inputs, digest: Digest) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        return self.logits(inputs), ()


def subject(model: Any) -> Subject:
    """A model behind the one interface: a torch module, a Keras model, a file (house safetensors, .keras, .onnx), or a function.

    No code of a file runs. Raises BadInput for anything else, MissingExtra when a package is not there.
    """
    if isinstance(model, Subject):
        return model
    if isinstance(model, str | Path):
        return _of_file(Path(model))
    if isinstance(model, nn.Module):
        return TorchSubject(model)
    if foreign_keras.is_keras(model):
        return KerasSubject(model)
    if callable(model):
        return FunctionSubject(model)
    raise BadInput(f"a {type(model).__name__} is no model.", advice=_ADVICE)


def _of_file(path: Path) -> Subject:
    if path.is_dir() and (path / "model.safetensors").is_file():
        path = path / "model.safetensors"
    if not path.is_file():
        raise BadInput(f"no such model file: {path}.", advice=_ADVICE)
    if path.suffix == foreign_keras.SUFFIX:
        return KerasSubject(foreign_keras.load(path), path.name)
    if path.suffix == ".onnx":
        return FunctionSubject(_onnx(path), path.name)
    return TorchSubject(foreign.load(path), path.name)


def _onnx(path: Path) -> Callable[[Inputs], np.ndarray]:
    """A function that runs an ONNX network on (n, c, h, w) or (n, h, w, c) floats in 0..1, as its input says, or on rows."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("an ONNX model", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no base class
        raise BadInput(f"{path} is not a network ONNX can run: {str(error).splitlines()[0]}") from error
    asked = session.get_inputs()[0]
    shape = asked.shape

    def answer(inputs: Inputs) -> np.ndarray:
        values = inputs
        if inputs.dtype == np.uint8:
            values = inputs.astype(np.float32) / 255
            if len(shape) == 4 and shape[-1] != inputs.shape[-1]:
                values = values.transpose(0, 3, 1, 2)
        return np.asarray(session.run(None, {asked.name: np.ascontiguousarray(values)})[0])

    return answer


def as_tensor(inputs: Inputs) -> Tensor:
    """Images (n, h, w, c) uint8 as (n, c, h, w) floats in 0..1; anything else as it is."""
    if inputs.dtype == np.uint8 and inputs.ndim == 4:
        return torch.from_numpy(np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))).float().div_(255)
    return torch.from_numpy(np.ascontiguousarray(inputs))


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation; every layer as it came afterwards."""
    training = [layer for layer in module.modules() if layer.training]
    module.eval()
    try:
        yield
    finally:
        for layer in training:
            layer.training = True


def watched(module: nn.Module) -> list[nn.Module]:
    """Leaf layers with weights, and what follows them, spread over the depth; the last one, which gives the logits, left out."""
    leaves = [layer for layer in module.modules() if not any(layer.children())]
    wanted: list[nn.Module] = [
        layer for layer in leaves if isinstance(layer, nn.ReLU | nn.GELU | nn.SiLU | nn.LayerNorm | nn.MultiheadAttention)
    ]
    if not wanted:
        wanted = [layer for layer in leaves if any(True for _ in layer.parameters())][:-1]
    return _spread(wanted)


def _spread(items: list[Any]) -> list[Any]:
    if len(items) <= _STAGES:
        return items
    return [items[round(at)] for at in np.linspace(0, len(items) - 1, _STAGES)]


def _whole(values: np.ndarray) -> np.ndarray:
    return values


def _keeper(seen: dict[int, list[np.ndarray]], at: int, digest: Digest) -> Callable[..., None]:
    asked_by = threading.get_ident()

    def keep(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and threading.get_ident() == asked_by:  # a server may be asking the same module meanwhile
            seen.setdefault(at, []).append(digest(output.detach().float().cpu().numpy()))

    return keep


def _parts(inputs: Inputs) -> Iterator[Inputs]:
    for start in range(0, max(len(inputs), 1), _BATCH):
        yield inputs[start : start + _BATCH]


def _channels_first(values: np.ndarray) -> np.ndarray:
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values


def _as_logits(outputs: np.ndarray) -> np.ndarray:
    """Probabilities become their logarithms; logits stay."""
    if len(outputs) and outputs.min() >= 0 and np.abs(outputs.sum(1) - 1).max() < 1e-3:
        return np.log(np.maximum(outputs, _TINY))
    return outputs


def _refused(inputs: Inputs, error: Exception) -> BadInput:
    shape = "x".join(map(str, inputs.shape[1:]))
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return BadInput(f"the model refuses inputs of {shape}: {first}.", advice="Give data like those the model was made for.")
