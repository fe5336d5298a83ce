"""A model that was trained here: what it takes, its weights, and its answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from untaint.data.dataset import Dataset
from untaint.errors import BadInput, CannotWrite
from untaint.features.inputs import Encoding, encoded
from untaint.nets.heads import network
from untaint.training.engines.arrays import tensor_of
from untaint.training.engines.partitions import Certified, CertifiedEnsemble
from untaint.types import Labels

MODEL = "model.safetensors"
ENSEMBLE = "ensemble.safetensors"
ABOUT = "model.json"
_BLOCK = 1000


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


@final
@dataclass(frozen=True)
class Trained:
    """A network and how rows become its inputs. factory: what made the network, None = of the house."""

    net: nn.Module
    encoding: Encoding
    factory: str | None = None

    def logits(self, values: np.ndarray) -> np.ndarray:
        """(n, classes) for inputs that are encoded already."""
        self.net.eval()
        with torch.no_grad():
            parts = [self.net(tensor_of(values[at : at + _BLOCK])).float().numpy() for at in range(0, len(values), _BLOCK)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.encoding.classes)), np.float32)

    def predict(self, dataset: Dataset) -> tuple[Labels, np.ndarray]:
        """Class codes (m,) of the rows that can be read, and their numbers (m,). Raises BadInput for data of another kind."""
        found = encoded(dataset, self.encoding, _quiet)
        return self.logits(found.values).argmax(axis=1), found.rows

    def save(self, folder: Path) -> Path:
        """Write `model.safetensors` and `model.json`. Raises CannotWrite."""
        weights = {name: value.detach().contiguous().clone() for name, value in self.net.state_dict().items()}
        try:
            (folder / MODEL).write_bytes(save(weights))
        except OSError as error:
            raise CannotWrite(f"cannot write to {folder}: {error.strerror or error}.", advice="Name another folder.") from error
        _write_about(folder, self.encoding, {"factory": self.factory})
        return folder / MODEL

    @staticmethod
    def load(folder: Path) -> "Trained":
        """Read what `save` wrote. Nothing in it is run, but for the user's own function that makes the network, if one is named there.

        Raises BadInput for anything else.
        """
        try:
            encoding, about = _about(folder)
            net = untrained(encoding, about["factory"], 0)
            with safe_open(folder / MODEL, "pt") as file:
                net.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118  # it is no mapping
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise _no_model(folder, error) from error
        return Trained(net.eval(), encoding, about["factory"])


@final
@dataclass(frozen=True)
class Elected:
    """A certified ensemble and how rows become its inputs."""

    ensemble: CertifiedEnsemble
    encoding: Encoding

    def predict(self, dataset: Dataset) -> tuple[Labels, np.ndarray]:
        """Class codes (m,) of the rows that can be read, and their numbers (m,). Raises BadInput for data of another kind."""
        certified, rows = self.certified(dataset)
        return certified.labels, rows

    def certified(self, dataset: Dataset) -> tuple[Certified, np.ndarray]:
        """The same answers with what they provably withstand."""
        found = encoded(dataset, self.encoding, _quiet)
        return self.ensemble.predict(found.values), found.rows

    def save(self, folder: Path) -> Path:
        """Write `ensemble.safetensors` and `model.json`. Raises CannotWrite."""
        self.ensemble.save(folder / ENSEMBLE)
        _write_about(folder, self.encoding, {})
        return folder / ENSEMBLE

    @staticmethod
    def load(folder: Path) -> "Elected":
        """Read what `save` wrote. Raises BadInput for anything else."""
        try:
            encoding, _ = _about(folder)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise _no_model(folder, error) from error
        return Elected(CertifiedEnsemble.load(folder / ENSEMBLE), encoding)


def _write_about(folder: Path, encoding: Encoding, more: Mapping[str, Any]) -> None:
    about = {
        "schema": "untaint.model/v1",
        "modality": encoding.modality,
        "shape": list(encoding.shape),
        "classes": list(encoding.classes),
        "details": dict(encoding.details),
        **more,
    }
    try:
        (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CannotWrite(f"cannot write to {folder}: {error.strerror or error}.", advice="Name another folder.") from error


def _about(folder: Path) -> tuple[Encoding, dict[str, Any]]:
    about: Any = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return Encoding(about["modality"], tuple(about["shape"]), tuple(about["classes"]), about["details"]), about


def _no_model(folder: Path, error: Exception) -> BadInput:
    message = f"{folder} holds no model that untaint trained: {error}."
    return BadInput(message, advice=f"Name the folder that `untaint train` wrote, with {MODEL} or {ENSEMBLE} and {ABOUT}.")


def untrained(encoding: Encoding, factory: str | None, seed: int) -> nn.Module:
    """A network for these inputs."""
    words = int(encoding.details.get("words", 0))
    return network(encoding.modality, encoding.shape, len(encoding.classes), words, factory, seed)
