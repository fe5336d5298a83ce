"""One line for a loop that is there already."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict, TypeVar, final

from torch import nn
from torch.optim import Optimizer
from typing_extensions import Unpack

from untaint.errors import BadInput
from untaint.training import compose
from untaint.training.base import Run
from untaint.training.compose import Wanted
from untaint.training.engines.added_guard import with_guard
from untaint.training.engines.gradients import mixing
from untaint.training.engines.loader import ByRow, HardenedLoader, batch_of, rows_of
from untaint.training.engines.row_losses import RowLoss, row_losses
from untaint.training.engines.session import Session, Ways

Model = TypeVar("Model", bound=nn.Module)
Optim = TypeVar("Optim", bound=Optimizer)


@final
class Options(TypedDict, total=False):
    """What may be said of a run.

    seed: of all chance (0).  classes: of the task, to refuse targets that are none.  epochs: planned, for defences that work in phases.
    quarantine: folder for what is dropped.  mean: whether the loss is the mean over the rows of a batch (it is), else their sum.
    row_loss: (outputs, targets) -> (n,) losses, where the loss is not a usual one.
    """

    seed: int
    classes: int
    epochs: int
    quarantine: str | Path
    mean: bool
    row_loss: RowLoss


def harden(
    model: Model, optimizer: Optim, loader: Iterable[Any] | ByRow, recipe: Wanted = "standard", **options: Unpack[Options]
) -> tuple[Model, Optim, HardenedLoader]:
    """See `untaint.harden`."""
    if not isinstance(model, nn.Module) or not isinstance(optimizer, Optimizer):
        message = f"harden takes a torch module and a torch optimizer, not {type(model).__name__} and {type(optimizer).__name__}."
        raise BadInput(message, advice="For Keras there is `untaint.harden_keras`.")
    if unknown := sorted(options.keys() - Options.__annotations__.keys()):
        raise BadInput(f"harden has no option {unknown[0]!r}.", advice=f"It has: {', '.join(sorted(Options.__annotations__))}.")
    chosen = with_guard(compose.recipe(recipe), mixes=bool(mixing(model)))
    own = [defence.id for defence in chosen.defences if {"ensemble", "own loop"} & defence.traits]
    if own:
        raise BadInput(f"{own[0]} can't be hooked into a loop of your own.", advice="Use `untaint.train` with this recipe.")
    rows, batch, epochs = rows_of(loader), batch_of(loader), options.get("epochs")
    per_epoch = -(-rows // batch) if rows and batch else None
    steps = per_epoch * epochs if per_epoch and epochs else None
    run = Run(options.get("seed", 0), rows, batch, epochs, steps, options.get("classes"))
    folder = None if (asked := options.get("quarantine")) is None else Path(asked)
    ways = Ways(options.get("mean", True), options.get("row_loss", row_losses))
    return model, optimizer, HardenedLoader(loader, Session(model, optimizer, chosen, run, ways, folder))
