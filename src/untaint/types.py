"""Array shapes as types. Checked at run time in the tests only (jaxtyping's import hook)."""

from typing import Literal, TypeAlias, get_args

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

Scores: TypeAlias = Float[np.ndarray, "n"]
"""One suspicion score per sample, high = suspicious, NaN = not assessed."""
Labels: TypeAlias = Int[np.ndarray, "n"]
"""Class codes 0..K-1 in the order of the class names; -1 = no label."""
Rows: TypeAlias = Int[np.ndarray, "_"]
"""Row numbers into the data set, in input order; two selections in one call may differ in length."""
Mask: TypeAlias = Bool[np.ndarray, "n"]
Pixels: TypeAlias = UInt8[np.ndarray, "n h w c"]
"""Decoded images on one canvas, 0..255, c = 1 (grey) or 3 (RGB)."""
Image: TypeAlias = UInt8[np.ndarray, "h w c"]
Embeddings: TypeAlias = Float[np.ndarray, "n d"]
Probabilities: TypeAlias = Float[np.ndarray, "n k"]
"""Class probabilities, columns in the order of the class names."""

Modality: TypeAlias = Literal["image", "text", "table", "instruction"]
"""instruction: a prompt and what a model should answer, without a label."""
MODALITIES: tuple[Modality, ...] = get_args(Modality)
