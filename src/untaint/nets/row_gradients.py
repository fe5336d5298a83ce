"""Gradients of single rows: of the last layer in closed form, of all weights one row after the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn

from untaint.errors import BadInput
from untaint.nets.subject import Inputs, Subject, TorchSubject, evaluating
from untaint.types import Labels

_TINY = 1e-30  # length of a gradient of nothing


@final
@dataclass(frozen=True)
class LastLayer:
    """What the last layer gets and gives. features (n, d), None = a black box; logits (n, k), both float64."""

    features: np.ndarray | None
    logits: np.ndarray

    def errors(self, labels: Labels) -> np.ndarray:
        """(n, k) gradients of cross-entropy by the logits: probabilities minus 1 at the label, exact also where the model is certain."""
        found = softmax(self.logits, axis=1)
        rows = np.arange(len(labels))
        found[rows, labels] = 0
        found[rows, labels] = -found.sum(1)
        return found

    def take(self, rows: np.ndarray) -> "LastLayer":
        """Some of the rows."""
        return LastLayer(None if self.features is None else self.features[rows], self.logits[rows])


def last_layer(subject: Subject, inputs: Inputs) -> LastLayer:
    """Run a model and keep what its last linear layer was given; of models of Keras, and without such a layer, the last one watched."""
    module = subject.module
    linear = [] if module is None else [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    if not linear:
        logits, layers = subject.traced(inputs, lambda values: values.reshape(len(values), -1))
        return LastLayer(layers[-1].astype(np.float64) if layers else None, logits.astype(np.float64))
    seen: list[Tensor] = []

    def keep(_layer: nn.Module, given: Any, _output: Any) -> None:
        seen.append(given[0].detach().flatten(1).float().cpu())

    hook = linear[-1].register_forward_hook(keep)
    try:
        logits = subject.logits(inputs)
    finally:
        hook.remove()
    features = torch.cat(seen).numpy().astype(np.float64)
    return LastLayer(features if len(features) == len(inputs) else None, logits.astype(np.float64))


def alike(rows: LastLayer, labels: Labels, one: LastLayer, label: int) -> np.ndarray:
    """(n,) cosine of the last layer's gradients of rows with that of one row, weights and bias: high = they pull the same way.

    Raises ValueError for a black box.
    """
    if rows.features is None or one.features is None:
        raise ValueError("a black box has no gradients")
    errors, error = _unit(rows.errors(labels)), _unit(one.errors(np.array([label])))[0]
    ones = np.ones((len(labels), 1))
    features = _unit(np.concatenate([rows.features, ones], 1))
    feature = _unit(np.concatenate([one.features, ones[:1]], 1))[0]
    found: np.ndarray = (errors @ error) * (features @ feature)
    return found


def row_gradients(
    module: nn.Module, inputs: Inputs, errors: np.ndarray, weights: Sequence[Tensor] | None = None, *, layerwise: bool = False
) -> Iterator[Tensor]:
    """For every row the gradient by the weights (all that learn, if not named), flat, of length 1, as a float tensor.

    errors: (n, k) gradients by the logits; only their direction counts, so that a row the model is certain of keeps its own.
    layerwise: of matrices and kernels only, each brought to one length of its own: a product of two is then the mean of their cosines.
    Raises BadInput for a module without weights that could learn.
    """
    with evaluating(module), learning(module), torch.enable_grad():
        learned = [weight for weight in module.parameters() if weight.requires_grad] if weights is None else list(weights)
        if layerwise:
            learned = [weight for weight in learned if weight.ndim > 1] or learned
        if not learned:
            raise BadInput(
                "the model has no weights that could learn, so no gradients.", advice="Give the network before it was quantised."
            )
        for start in range(len(inputs)):
            given = TorchSubject(module).tensor(inputs[start : start + 1])
            logits = module(given)
            pull = torch.from_numpy(_unit(errors[start : start + 1])).to(logits.device, torch.float32)
            slopes = torch.autograd.grad((logits.float() * pull).sum(), learned, allow_unused=True)
            flat = [
                (torch.zeros_like(weight) if slope is None else slope).flatten().float().cpu()
                for weight, slope in zip(learned, slopes, strict=True)
            ]
            if layerwise:
                flat = [each / each.norm().clamp(min=_TINY) for each in flat]
            whole = torch.cat(flat)
            yield whole / whole.norm().clamp(min=_TINY)


@contextmanager
def learning(module: nn.Module) -> Iterator[None]:
    """Every weight that is a real number can learn, also those that were frozen; each as it came afterwards."""
    frozen = [weight for weight in module.parameters() if weight.is_floating_point() and not weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for weight in frozen:
            weight.requires_grad_(False)


def _unit(values: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _TINY)
    return scaled
