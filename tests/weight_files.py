"""Small checkpoints for tests, written as safetensors."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

Arrays = Mapping[str, np.ndarray]


def weights(seed: int = 0, dtype: str = "float32") -> dict[str, np.ndarray]:
    """A few matrices and vectors of the size that weights have."""
    rng = np.random.default_rng(seed)
    shapes = {"embed": (120, 64), "conv": (24, 16, 3, 3), "dense": (96, 64), "bias": (96,), "head": (10, 96)}
    return {name: (rng.standard_normal(shape) * 0.05).astype(dtype) for name, shape in shapes.items()}


def stored(path: Path, arrays: Arrays) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    return path


def header(path: Path, text: bytes, numbers: bytes = b"") -> Path:
    """A safetensors file with any header."""
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    return path
