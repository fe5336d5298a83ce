"""Robust means of the gradients of several processes, in place of the plain mean of data-parallel training."""

from typing import TYPE_CHECKING, Any

from untaint.errors import BadInput, MissingExtra
from untaint.numerics.aggregation import TRIMMED_MEAN
from untaint.training.engines.updates import combine_updates

if TYPE_CHECKING:
    from torch import Tensor, nn


def average_gradients(
    model: "nn.Module", rule: str = TRIMMED_MEAN, f: int | None = None, *, mix: bool = False, group: Any = None
) -> tuple[int, ...]:
    """Replace the gradients of a model by a robust mean over all processes; call it on each, between `backward()` and `step()`.

    rule, f, mix: as in `untaint.robust_mean`.  group: of torch.distributed, None = everybody.
    Every process gathers the gradients of all and combines them itself, so none has to be trusted, and all go on with the same numbers;
    memory and traffic grow with their number. A parameter without a gradient counts as zero and gets one.
    Answers the ranks (in the group) that were left out because their gradients were not finite.
    It guards against values, not against a process that stops, or sends another number of them: then all wait.
    Raises TooManyBad (a BadInput), on all processes alike and with the gradients as they were, when 2f >= n or more than f are not
    finite; BadInput where there is no process group, or the model is wrapped in DistributedDataParallel, which takes the mean first;
    MissingExtra without PyTorch.
    """
    try:
        import torch
        import torch.distributed as dist
    except ImportError as error:
        raise MissingExtra("a mean of the gradients of several processes", "torch") from error
    if isinstance(model, torch.nn.parallel.DistributedDataParallel):
        raise BadInput(
            "DistributedDataParallel has taken the plain mean of the gradients before they can be looked at.",
            advice="Run backward() under model.no_sync(), and pass model.module.",
        )
    if not (dist.is_available() and dist.is_initialized()):
        raise BadInput("torch.distributed has no process group.", advice="Call torch.distributed.init_process_group first.")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    own = _flat(trained)
    everybody = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
    dist.all_gather(everybody, own, group=group)
    answer = combine_updates(everybody, rule, f, mix=mix)
    start = 0
    for parameter in trained:
        part = answer.value[start : start + parameter.numel()].reshape(parameter.shape)
        parameter.grad = part.to(parameter.device, parameter.dtype).clone()
        start += parameter.numel()
    return tuple(rank for rank in range(len(everybody)) if rank not in answer.kept)


def _flat(trained: "list[nn.Parameter]") -> "Tensor":
    import torch

    if not trained:
        raise BadInput("The model has no parameters to train.", advice="Leave requires_grad on for those that learn.")
    kind = torch.float64 if any(parameter.dtype == torch.float64 for parameter in trained) else torch.float32
    return torch.cat(
        [
            (torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).detach().reshape(-1).to(kind)
            for parameter in trained
        ]
    )
