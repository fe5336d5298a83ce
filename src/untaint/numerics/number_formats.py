"""How weights are stored: formats of numbers, read as floats without a library for each, and how coarse each format is."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, final

import numpy as np

Family = Literal["float", "brain", "eighth", "whole", "flag", "pairs", "raw"]
"""float: as numpy has it.  brain: upper half of a float32.  eighth: 8-bit floats, by table.  whole, flag: integers, booleans.
pairs: complex, read as two floats.  raw: bytes of a format that is compared, not read."""


@final
@dataclass(frozen=True)
class Format:
    """One format. size: bytes of a number.  bits: precision with the leading one, so that rounding errs by 2^-bits of a value at most.

    sign: the bit of the sign, -1 = none.  exponent: bits of the exponent, just below it.
    """

    name: str
    family: Family
    size: int
    bits: int
    sign: int
    exponent: int

    @property
    def roundoff(self) -> float:
        """Largest relative error of rounding to nearest; 0 for whole numbers, which are exact."""
        return 2.0**-self.bits if self.bits else 0.0

    @property
    def tiny(self) -> float:
        """Distance of the numbers next to zero: rounding errs by half of it there, whatever the value; 0 for whole numbers."""
        return 2.0 ** (3 - 2 ** (self.exponent - 1) - self.bits) if self.bits else 0.0

    @property
    def unsigned(self) -> np.dtype[np.unsignedinteger]:
        """Unsigned numbers of the same width, to compare bits."""
        return np.dtype(f"<u{min(self.size, 8)}")


_FORMATS = (
    Format("float64", "float", 8, 53, 63, 11),
    Format("float32", "float", 4, 24, 31, 8),
    Format("float16", "float", 2, 11, 15, 5),
    Format("bfloat16", "brain", 2, 8, 15, 8),
    Format("float8_e4m3fn", "eighth", 1, 4, 7, 4),
    Format("float8_e5m2", "eighth", 1, 3, 7, 5),
    Format("complex64", "pairs", 8, 24, 31, 8),
    *(Format(f"int{8 * size}", "whole", size, 0, 8 * size - 1, 0) for size in (1, 2, 4, 8)),
    *(Format(f"uint{8 * size}", "whole", size, 0, -1, 0) for size in (1, 2, 4, 8)),
    Format("bool", "flag", 1, 0, -1, 0),
    Format("raw", "raw", 1, 0, -1, 0),
)
FORMATS: Mapping[str, Format] = {each.name: each for each in _FORMATS}


def read(raw: np.ndarray, form: Format) -> np.ndarray:
    """(n,) float32, or float64 where float32 would lose digits, of raw bytes (n * size,) uint8 in little-endian order.

    Complex numbers become (n, 2) flattened; raw bytes become their values 0..255.
    """
    if form.family == "brain":
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    if form.family == "eighth":
        return _eighths(form.name)[raw]
    if form.family == "pairs":
        return raw.view("<f4")
    if form.family == "raw":
        return raw.astype(np.float32)
    if form.family == "flag":
        return (raw != 0).astype(np.float32)
    values = raw.view(np.dtype(form.name).newbyteorder("<"))
    exact = values.dtype.itemsize <= 2 or values.dtype == np.float32
    with np.errstate(invalid="ignore"):  # a NaN that signals is a NaN
        return values.astype(np.float32 if exact else np.float64, copy=False)


def rounded(values: np.ndarray, form: Format) -> np.ndarray:
    """Values as they are after a stay in `form` and back, by rounding to nearest even; only floats of 16 bits."""
    if form.family == "float":
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(form.name).astype(values.dtype)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    even = (bits >> 16) & 1
    with np.errstate(over="ignore", invalid="ignore"):
        kept = ((bits + 0x7FFF + even) >> 16) << 16
    return kept.view(np.float32).astype(values.dtype, copy=False)


@cache
def _eighths(name: str) -> np.ndarray:
    """(256,) the values of an 8-bit float. Source: Micikevicius and others 2022, arXiv 2209.05433, table 1."""
    codes = np.arange(256)
    mantissa, bias = (3, 7) if name == "float8_e4m3fn" else (2, 15)
    exponent, fraction = (codes & 0x7F) >> mantissa, codes & ((1 << mantissa) - 1)
    normal = np.ldexp(1.0 + fraction / (1 << mantissa), exponent - bias)
    values = np.where(exponent > 0, normal, np.ldexp(fraction / (1 << mantissa), 1 - bias))
    if name == "float8_e4m3fn":
        values = np.where((codes & 0x7F) == 0x7F, np.nan, values)
    else:
        values = np.where(exponent == 31, np.where(fraction == 0, np.inf, np.nan), values)
    return np.where(codes & 0x80, -values, values).astype(np.float32)
