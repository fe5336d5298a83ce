"""Layers whose rows' gradients are kept apart: what is written down in the backward pass, and norms and sums made of it.

For each use of a layer the input a and the gradient G of the output are kept; the gradient of row i is made of a_i and G_i alone
(Goodfellow 2015, arXiv 1510.01799, for linear layers; Rochette et al. 2019, arXiv 1912.06015, for convolutions), so that no backward
pass is run twice and the usual matrix product for the whole batch is spared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from untaint.errors import BadInput

_ROOM = 32_000_000
"""Numbers per layer and batch that may be laid out at once (128 MB): below, rows' gradients are; above, norms come from products of
rows with themselves, which cost time in the square of positions."""

Note: TypeAlias = Callable[["Use"], None]
"""Called in the backward pass with one use of a layer."""


@final
@dataclass(eq=False)
class Use:
    """One use of a layer on a batch of n rows. inputs: what it was given.  grads: gradient of the summed or mean loss by its output."""

    module: nn.Module
    inputs: Tensor
    grads: Tensor
    kind: Any  # as `kind_of` has it
    rows: dict[str, Tensor] | None = None  # gradients (n, ...) of each row by parameter name, where they were laid out


class _Tap(torch.autograd.Function):
    """A layer whose parameters get their gradient later; that of its input comes from `back`."""

    @staticmethod
    def forward(ctx: Any, note: Note, module: nn.Module, kind: Any, inputs: Tensor, *parameters: Tensor) -> Tensor:
        ctx.note, ctx.module, ctx.kind = note, module, kind
        ctx.save_for_backward(inputs, *parameters)
        return _FORWARD[kind](module, inputs, *parameters)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        inputs, *parameters = ctx.saved_tensors
        use = _precise(ctx.module, inputs, grads[0], ctx.kind)
        ctx.note(use)
        back = None
        if ctx.needs_input_grad[3]:
            back = _BACK[ctx.kind](ctx.module, use.inputs, use.grads, *parameters).to(inputs.dtype)
        return (None, None, None, back, *(None for _ in parameters))


def _precise(module: Any, inputs: Tensor, grads: Tensor, kind: Any) -> Use:
    """A use in the precision of the parameters: under autocast, inputs and gradients have less."""
    precise = module.weight.dtype
    if grads.dtype != precise or inputs.dtype != precise:
        grads = grads.to(precise)
        inputs = inputs.to(precise) if inputs.is_floating_point() else inputs
    return Use(module, inputs, grads, kind)


def supported(module: nn.Module) -> bool:
    """Whether the gradients of its own parameters can be kept apart."""
    return kind_of(module) is not None


def tapped(module: nn.Module, inputs: Tensor, note: Note, kind: Any) -> Tensor:
    """The layer's answer; `note` is told of the use in the backward pass. kind: as `kind_of` has it."""
    if kind is nn.Linear and (inputs.requires_grad or module.bias is not None):
        return _linear_tapped(module, inputs, note)
    if kind is nn.LayerNorm:
        inputs = _normalised(module, inputs)  # of which autograd takes care: it has no parameters
    parameters = [value for value in (module.weight, getattr(module, "bias", None)) if value is not None]
    return _Tap.apply(note, module, kind, inputs, *parameters)  # type: ignore[no-untyped-call]


def _linear_tapped(module: Any, inputs: Tensor, note: Note) -> Tensor:
    """The same for linear layers, where the price of a `Function` in Python shows: autograd takes the input's gradient alone."""
    weight, bias = module.weight, module.bias
    if not (weight.requires_grad or (bias is not None and bias.requires_grad)):
        return functional.linear(inputs, weight, bias)
    if bias is not None:
        bias = bias.detach()  # else nothing would ask for a gradient of the first layer's output
        bias.requires_grad_(not inputs.requires_grad)
    output = functional.linear(inputs, weight.detach(), bias)
    held, version = inputs.detach(), inputs._version  # noqa: SLF001  # what autograd checks saved tensors by

    def told(grads: Tensor) -> None:
        if held._version != version:  # noqa: SLF001
            message = f"the input of {type(module).__name__} was changed in place before the backward pass had read it."
            raise BadInput(message, advice="Write the change without in-place operations.")
        note(_precise(module, held, grads, nn.Linear))

    output.register_hook(told)
    return output


def squared_norms(use: Use) -> Tensor:
    """(n,) squared norms of the rows' gradients by the layer's parameters."""
    return _SQUARED[use.kind](use)


def row_gradients(use: Use) -> dict[str, Tensor]:
    """Gradients (n, ...) of each row by the layer's parameters that are trained, by name."""
    if use.rows is None:
        use.rows = {name: grad for name, grad in _ROWS[use.kind](use).items() if _trained(use.module, name)}
    return use.rows


def weighted(use: Use, weights: Tensor) -> dict[str, Tensor]:
    """Sums over the rows of their gradients times weights (n,)."""
    if use.rows is not None:
        return {name: torch.tensordot(weights, rows, dims=1) for name, rows in use.rows.items()}
    scaled = use.grads * weights.reshape(-1, *[1] * (use.grads.dim() - 1))
    sums = _SUMS[use.kind](use.module, use.inputs, scaled)
    return {name: grad for name, grad in sums.items() if _trained(use.module, name)}


def _trained(module: nn.Module, name: str) -> bool:
    parameter = getattr(module, name, None)
    return parameter is not None and parameter.requires_grad


_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def kind_of(module: nn.Module) -> Any:
    """The layer that stands for all that are computed alike, None = none that is known."""
    own = {name for name, value in module._parameters.items() if value is not None}  # noqa: SLF001  # not what hooks compute
    if "weight" not in own or not own <= {"weight", "bias"}:
        return None
    if type(module) is nn.Linear:
        return nn.Linear
    if type(module) in _CONVS and module.padding_mode == "zeros" and not isinstance(module.padding, str):
        return nn.Conv2d
    if type(module) is nn.Embedding and module.max_norm is None and not module.sparse and not module.scale_grad_by_freq:
        return nn.Embedding
    if type(module) in _NORMS:
        return nn.LayerNorm
    return None


def _linear_sums(_module: Any, inputs: Tensor, grads: Tensor) -> dict[str, Tensor]:
    if grads.dim() == 2:
        return {"weight": grads.T @ inputs, "bias": grads.sum(0)}
    flat = grads.reshape(-1, grads.shape[-1])
    return {"weight": flat.T @ inputs.reshape(-1, inputs.shape[-1]), "bias": flat.sum(0)}


def _linear_rows(use: Use) -> dict[str, Tensor]:
    grads, inputs = _positions(use.grads), _positions(use.inputs)
    return {"weight": torch.bmm(grads.transpose(1, 2), inputs), "bias": grads.sum(1)}


def _linear_squared(use: Use) -> Tensor:
    if use.grads.dim() == 2:  # an outer product: its squared norm is the product of theirs
        sizes, kept = _gram(use.grads), _trained(use.module, "bias")
        if not _trained(use.module, "weight"):
            return sizes if kept else torch.zeros_like(sizes)
        inputs = _gram(use.inputs)
        return sizes.mul_(inputs.add_(1) if kept else inputs)
    grads, inputs = _positions(use.grads), _positions(use.inputs)
    n, positions, out = grads.shape
    if (positions**2 > out * inputs.shape[2] or n * positions**2 > _ROOM) and n * out * inputs.shape[2] <= _ROOM:
        return _of_rows(use)
    total = torch.zeros(n, device=grads.device, dtype=grads.dtype)
    if _trained(use.module, "weight"):
        total = total + _crossed(inputs, grads)
    if _trained(use.module, "bias"):
        total = total + _gram(grads.sum(1))
    return total


def _gram(values: Tensor) -> Tensor:
    """(n,) squared norms of values (n, d); unlike a sum of squares, a norm lays nothing out."""
    return torch.linalg.vector_norm(values, dim=1).square_()


def _crossed(inputs: Tensor, grads: Tensor) -> Tensor:
    """(n,) squared norms of sums over positions of outer products: sum over pairs of positions of both inner products."""
    return (torch.bmm(inputs, inputs.transpose(1, 2)) * torch.bmm(grads, grads.transpose(1, 2))).sum((1, 2))


def _positions(values: Tensor) -> Tensor:
    """(n, positions, d) of (n, ..., d)."""
    return values.reshape(len(values), -1, values.shape[-1])


def _of_rows(use: Use) -> Tensor:
    rows = list(row_gradients(use).values())
    if not rows:
        return torch.zeros(len(use.grads), device=use.grads.device, dtype=use.grads.dtype)
    return torch.stack([value.flatten(1).square().sum(1) for value in rows]).sum(0)


def _windows(module: Any, inputs: Tensor, positions: tuple[int, ...]) -> Tensor:
    """(n, groups, channels of a group x kernel, positions) what each output position of a convolution sees, as one copy."""
    padded = functional.pad(inputs, [side for size in reversed(module.padding) for side in (size, size)]).contiguous()
    row, channel, *axes = padded.stride()
    within = [stride * step for stride, step in zip(axes, module.dilation, strict=True)]
    along = [stride * step for stride, step in zip(axes, module.stride, strict=True)]
    shape = (*padded.shape[:2], *module.kernel_size, *positions)
    seen = padded.as_strided(shape, (row, channel, *within, *along))
    return seen.reshape(len(inputs), module.groups, -1, prod(positions))


def _conv_rows(use: Use) -> dict[str, Tensor]:
    module: Any = use.module
    n, out, *positions = use.grads.shape
    grads = use.grads.reshape(n, module.groups, out // module.groups, -1)
    seen = _windows(module, use.inputs, tuple(positions))
    weight = torch.matmul(grads, seen.transpose(2, 3)).reshape(n, *module.weight.shape)
    return {"weight": weight, "bias": grads.sum(3).reshape(n, out)}


def _conv_squared(use: Use) -> Tensor:
    module: Any = use.module
    n, out, *positions = use.grads.shape
    laid_out, crossed = n * module.weight.numel(), n * prod(positions) ** 2 * module.groups
    if laid_out <= _ROOM or crossed >= laid_out:
        return _of_rows(use)
    grads = use.grads.reshape(n * module.groups, out // module.groups, -1).transpose(1, 2)
    seen = _windows(module, use.inputs, tuple(positions)).flatten(0, 1).transpose(1, 2)
    total = _crossed(seen, grads).reshape(n, -1).sum(1) if _trained(module, "weight") else torch.zeros(n, device=grads.device)
    bias = use.grads.reshape(n, out, -1).sum(2).square().sum(1)
    return total + bias if _trained(module, "bias") else total


def _conv_back(module: Any, inputs: Tensor, grads: Tensor, weight: Tensor, *_bias: Tensor) -> Tensor:
    return _convolved(module, inputs, grads, weight, (True, False, False))[0]


def _conv_sums(module: Any, inputs: Tensor, grads: Tensor) -> dict[str, Tensor]:
    _, weight, bias = _convolved(module, inputs, grads, module.weight, (False, True, True))
    return {"weight": weight, "bias": bias}


def _convolved(module: Any, inputs: Tensor, grads: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool]) -> Any:
    shape = module.stride, module.padding, module.dilation, False, [0] * len(module.stride), module.groups
    return torch.ops.aten.convolution_backward(grads, inputs, weight, [len(weight)], *shape, list(wanted))


def _conv_forward(module: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    by_axes = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[len(module.stride)]
    return by_axes(inputs, weight, bias, module.stride, module.padding, module.dilation, module.groups)


def _embedding_sums(module: Any, inputs: Tensor, grads: Tensor) -> dict[str, Tensor]:
    total = torch.zeros_like(module.weight)
    total.index_add_(0, inputs.flatten(), _unpadded(module, inputs, grads).reshape(-1, grads.shape[-1]))
    return {"weight": total}


def _unpadded(module: Any, inputs: Tensor, grads: Tensor) -> Tensor:
    """The gradients without those of padding, which is not trained."""
    if module.padding_idx is None:
        return grads
    return grads.masked_fill((inputs == module.padding_idx)[..., None], 0)


def _embedding_squared(use: Use) -> Tensor:
    if not _trained(use.module, "weight"):
        return torch.zeros(len(use.grads), device=use.grads.device, dtype=use.grads.dtype)
    grads = _positions(_unpadded(use.module, use.inputs, use.grads))
    words = use.inputs.reshape(len(grads), -1)
    same = words[:, :, None] == words[:, None, :]
    return (torch.bmm(grads, grads.transpose(1, 2)) * same).sum((1, 2))


def _embedding_rows(use: Use) -> dict[str, Tensor]:
    module: Any = use.module
    grads = _positions(_unpadded(module, use.inputs, use.grads))
    words = use.inputs.reshape(len(grads), -1)
    total = torch.zeros(len(grads), *module.weight.shape, device=grads.device, dtype=grads.dtype)
    total.scatter_add_(1, words[..., None].expand_as(grads), grads)
    return {"weight": total}


def _normalised(module: Any, inputs: Tensor) -> Tensor:
    if isinstance(module, nn.LayerNorm):
        return functional.layer_norm(inputs, module.normalized_shape, None, None, module.eps)
    if isinstance(module, nn.RMSNorm):
        return functional.rms_norm(inputs, list(module.normalized_shape), None, module.eps)
    if isinstance(module, nn.GroupNorm):
        return functional.group_norm(inputs, module.num_groups, None, None, module.eps)
    return _batch_normalised(module, inputs)


def _batch_normalised(module: Any, inputs: Tensor) -> Tensor:
    """As the layer does it, its running statistics included: its weight and bias are set apart for the call."""
    weight, bias = module.weight, module.bias
    module.weight = module.bias = None
    try:
        return nn.modules.batchnorm._BatchNorm.forward(module, inputs)  # noqa: SLF001  # the class all three share
    finally:
        module.weight, module.bias = weight, bias


def _shaped(module: nn.Module, parameter: Tensor, values: Tensor) -> Tensor:
    """The parameter in a shape that multiplies values (n, ...): over their last axes, or over channels."""
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return parameter
    return parameter.reshape(1, -1, *[1] * (values.dim() - 2))


def _norm_forward(module: nn.Module, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    scaled = inputs * _shaped(module, weight, inputs)
    return scaled if bias is None else scaled + _shaped(module, bias, inputs)


def _norm_rows(use: Use) -> dict[str, Tensor]:
    return {"weight": _by_parameter(use.module, use.grads * use.inputs), "bias": _by_parameter(use.module, use.grads)}


def _by_parameter(module: Any, values: Tensor) -> Tensor:
    """(n, *shape of the parameter) of values (n, ...), summed over all other axes."""
    if isinstance(module, nn.LayerNorm | nn.RMSNorm):
        return values.reshape(len(values), -1, *module.weight.shape).sum(1)
    return values.reshape(*values.shape[:2], -1).sum(2)


def _norm_sums(module: nn.Module, inputs: Tensor, grads: Tensor) -> dict[str, Tensor]:
    return {name: rows.sum(0) for name, rows in _norm_rows(Use(module, inputs, grads, nn.LayerNorm)).items()}


_FORWARD: dict[Any, Callable[..., Tensor]] = {
    nn.Linear: lambda _module, inputs, weight, bias=None: functional.linear(inputs, weight, bias),
    nn.Conv2d: _conv_forward,
    nn.Embedding: lambda module, inputs, weight: functional.embedding(inputs, weight, module.padding_idx),
    nn.LayerNorm: _norm_forward,
}
_BACK: dict[Any, Callable[..., Tensor]] = {
    nn.Linear: lambda _module, _inputs, grads, weight, *_bias: grads @ weight,
    nn.Conv2d: _conv_back,
    nn.LayerNorm: lambda module, _inputs, grads, weight, *_bias: grads * _shaped(module, weight, grads),
}
_SQUARED: dict[Any, Callable[[Use], Tensor]] = {
    nn.Linear: _linear_squared,
    nn.Conv2d: _conv_squared,
    nn.Embedding: _embedding_squared,
    nn.LayerNorm: _of_rows,
}
_ROWS: dict[Any, Callable[[Use], dict[str, Tensor]]] = {
    nn.Linear: _linear_rows,
    nn.Conv2d: _conv_rows,
    nn.Embedding: _embedding_rows,
    nn.LayerNorm: _norm_rows,
}
_SUMS: dict[Any, Callable[[nn.Module, Tensor, Tensor], dict[str, Tensor]]] = {
    nn.Linear: _linear_sums,
    nn.Conv2d: _conv_sums,
    nn.Embedding: _embedding_sums,
    nn.LayerNorm: _norm_sums,
}
