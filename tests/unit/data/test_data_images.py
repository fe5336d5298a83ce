"""Whatever bytes come, decoding gives an image or a BadInput."""

import io
import random

import numpy as np
import pytest
from PIL import Image as Pillow

from untaint.data.images import FORMATS, decode
from untaint.data.readers._index import image_problem
from untaint.errors import BadInput


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("seed", range(3))
def test_crafted_pictures_never_escape(kind: str, seed: int) -> None:
    random.seed(seed)
    buffer = io.BytesIO()
    Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(buffer, kind)
    for _ in range(150):
        raw = bytearray(buffer.getvalue())
        for _ in range(random.randint(1, 6)):
            raw[random.randrange(min(len(raw), 400))] = random.randrange(256)
        picture = bytes(raw[: random.randrange(len(raw))] if random.random() < 0.3 else raw)
        image_problem(picture)
        try:
            image = decode(picture)
        except BadInput:
            continue
        assert image.dtype == np.uint8
        assert image.shape[2] in {1, 3}
