"""A stopped run, on disk: tensors as safetensors, the rest as JSON in the same file. Nothing in it is run when it is read."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from untaint.errors import BadInput, CannotWrite
from untaint.training.base import State

_OWN = "untaint"


@final
class Checkpoint:
    """A file that holds one moment of a run. run: what the run is, so that no other one goes on from it."""

    def __init__(self, path: Path, run: str) -> None:
        self.path, self.run = path, run

    def write(self, model: nn.Module, optimizer: Optimizer, session: State, about: Mapping[str, Any]) -> None:
        """Put the moment there, all of it or nothing. Raises CannotWrite."""
        tensors = {f"model.{name}": value.detach().contiguous() for name, value in model.state_dict().items()}
        plain: dict[str, Any] = {}
        for path, value in _leaves(optimizer.state_dict(), ()):
            if isinstance(value, Tensor):
                tensors[f"optimizer.{'.'.join(map(str, path))}"] = value.detach().clone().contiguous()
            else:
                plain[".".join(map(str, path))] = value
        tensors |= {f"session.{name}": torch.from_numpy(np.array(value)) for name, value in session.items()}
        tensors["chance"] = torch.get_rng_state()
        told = json.dumps({"run": self.run, "optimizer": plain, "about": about})
        part = self.path.with_name(self.path.name + ".part")
        try:
            part.write_bytes(save(tensors, {_OWN: told}))
            part.replace(self.path)
        except OSError as error:
            raise CannotWrite(
                f"cannot write to {self.path}: {error.strerror or error}.", advice="Name another folder."
            ) from error

    def read(self, model: nn.Module, optimizer: Optimizer) -> tuple[State, dict[str, Any]] | None:
        """Go back to the moment; the session's state and what else was written. None = there is no file.

        Raises BadInput for a file of another run, and for one that is damaged.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                told = json.loads((file.metadata() or {})[_OWN])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            if told["run"] != self.run:
                message = f"{self.path} was left by another run: other data, another recipe or other options."
                raise BadInput(message, advice="Finish that run, remove the file, or name another folder with --out.")
            model.load_state_dict(_under("model.", tensors))
            _restore(optimizer, _under("optimizer.", tensors), told["optimizer"])
            torch.set_rng_state(tensors["chance"])
        except (SafetensorError, KeyError, ValueError, RuntimeError, OSError) as error:
            raise BadInput(
                f"{self.path} is no checkpoint that can be read: {error}.", advice="Remove it to begin anew."
            ) from error
        return {name: value.numpy() for name, value in _under("session.", tensors).items()}, told["about"]

    def remove(self) -> None:
        """The run is done."""
        self.path.unlink(missing_ok=True)


def _under(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}


def _leaves(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """What lies in nested dictionaries and lists, each with the way to it."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, (*path, key))
    elif (
        isinstance(value, list | tuple)
        and path
        and path[-1] != "params"
        and not all(isinstance(each, int | float) for each in value)
    ):
        for place, each in enumerate(value):
            yield from _leaves(each, (*path, place))
    else:
        yield path, value


def _restore(optimizer: Optimizer, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
    """The optimizer's own structure, with what was written put in its places."""
    state = optimizer.state_dict()
    held: dict[int, dict[str, Any]] = {}
    for path, value in {**plain, **tensors}.items():
        where, first, *rest = path.split(".")
        if where == "state":
            held.setdefault(int(first), {})[rest[0]] = value
        elif where == "param_groups" and rest and rest[0] != "params":
            old = state["param_groups"][int(first)].get(rest[0])
            state["param_groups"][int(first)][rest[0]] = tuple(value) if isinstance(old, tuple) else value
    optimizer.load_state_dict({"state": held, "param_groups": state["param_groups"]})
