"""Small pictures to read."""

import numpy as np
import pytest

from untaint.data.images import encode_png


@pytest.fixture
def pictures() -> list[bytes]:
    """Eight different small PNG files."""
    arrays = np.random.default_rng(0).integers(0, 256, (8, 9, 9, 3), dtype=np.uint8)
    return [encode_png(array) for array in arrays]
