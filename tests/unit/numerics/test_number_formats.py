"""Formats of weights, against what PyTorch makes of the same bytes."""

import numpy as np
import pytest
import torch

from untaint.numerics.number_formats import FORMATS, read, rounded

TORCH = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
    "int8": torch.int8,
    "int64": torch.int64,
    "bool": torch.bool,
}


@pytest.mark.parametrize("name", TORCH)
def test_any_bytes_are_read_as_torch_reads_them(name: str) -> None:
    raw = np.random.default_rng(0).integers(0, 2 if name == "bool" else 256, 4096).astype(np.uint8)
    wanted = torch.frombuffer(bytearray(raw.tobytes()), dtype=TORCH[name]).double().numpy()
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(read(raw, FORMATS[name]).astype(float), wanted)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_rounding_is_to_nearest_even(name: str) -> None:
    values = np.concatenate([np.random.default_rng(0).standard_normal(5000), [0.0, 1e-8, 70000.0, 3e38, 1.00390625]])
    values = values.astype(np.float32)
    wanted = torch.from_numpy(values).to(TORCH[name]).float().numpy()
    np.testing.assert_array_equal(rounded(values, FORMATS[name]), wanted)


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_roundoff_and_tiny_are_those_of_torch(name: str) -> None:
    found = torch.finfo(TORCH[name])
    assert 2 * FORMATS[name].roundoff == found.eps
    assert FORMATS[name].tiny == pytest.approx(found.smallest_normal * found.eps, rel=1e-6)


def test_complex_numbers_are_two_floats_and_raw_bytes_themselves() -> None:
    values = np.array([1 + 2j, -3j], np.complex64)
    np.testing.assert_array_equal(read(values.view(np.uint8), FORMATS["complex64"]), [1, 2, 0, -3])
    np.testing.assert_array_equal(read(np.array([0, 255], np.uint8), FORMATS["raw"]), [0, 255])
