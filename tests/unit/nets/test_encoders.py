"""Foreign encoders: by name, as an ONNX file, as the user's own code; what is wrong with one is said."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from untaint.errors import BadInput
from untaint.nets import encoders

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 24, 20, 3)).astype(np.uint8)
NORMALISED = (IMAGES / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


def graph(path: Path, shape: list[str | int | None], axes: list[int]) -> Path:
    """An ONNX model that averages over some axes."""
    taken = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
    given = helper.make_tensor_value_info("means", TensorProto.FLOAT, None)
    over = helper.make_tensor("axes", TensorProto.INT64, [len(axes)], axes)
    node = helper.make_node("ReduceMean", ["images", "axes"], ["means"], keepdims=0)
    model = helper.make_model(
        helper.make_graph([node], "means", [taken], [given], [over]), opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    )
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(("shape", "axes"), [(["n", 3, "h", "w"], [2, 3]), (["n", "h", "w", 3], [1, 2])])
def test_an_onnx_file_sees_normalised_images_in_its_own_layout(
    tmp_path: Path, shape: list[str | int | None], axes: list[int]
) -> None:
    encode, side = encoders.load(graph(tmp_path / "means.onnx", shape, axes))
    assert side is None
    np.testing.assert_allclose(encode(IMAGES), NORMALISED.mean((1, 2)), atol=1e-5)


def test_an_onnx_file_may_insist_on_a_size(tmp_path: Path) -> None:
    encode, side = encoders.load(str(graph(tmp_path / "means.onnx", ["n", 3, 32, 32], [2, 3])))
    assert side == 32
    with pytest.raises(BadInput, match="refuses images"):
        encode(IMAGES)


def test_maps_are_averaged_over_places() -> None:
    encode, _ = encoders.load(nn.Identity())
    np.testing.assert_allclose(encode(IMAGES), NORMALISED.mean((1, 2)), atol=1e-5)


def test_a_function_is_taken_as_it_is() -> None:
    encode, _ = encoders.load(lambda images: images.mean((1, 2)))
    np.testing.assert_allclose(encode(IMAGES), IMAGES.mean((1, 2)))


def test_code_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_encoder.py").write_text("from torch import nn\n\ndef make():\n    return nn.Identity()\n")
    monkeypatch.syspath_prepend(tmp_path)
    encode, _ = encoders.load("my_encoder:make")
    assert encode(IMAGES).shape == (3, 3)
    sys.modules.pop("my_encoder")


def test_code_in_the_folder_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "encoder_here.py").write_text("def make():\n    return lambda images: images.mean((1, 2))\n")
    monkeypatch.chdir(tmp_path)
    known = list(sys.path)
    encode, _ = encoders.load("encoder_here:make")
    assert encode(IMAGES).shape == (3, 3)
    assert sys.path == known
    sys.modules.pop("encoder_here")


def test_the_house_encoder_tells_photographs_apart() -> None:
    """An image is closer to its own mirror image than to others."""
    encode, _ = encoders.load(encoders.HOUSE)
    rng = np.random.default_rng(1)
    images = np.kron(rng.integers(0, 256, (6, 6, 6, 3)), np.ones((1, 16, 16, 1))).astype(np.uint8)
    first, mirrored = encode(images), encode(images[:, :, ::-1])
    assert first.shape == (6, 1280)
    distances = np.linalg.norm(first[:, None] - mirrored[None], axis=2)
    assert distances.argmin(1).tolist() == list(range(6))


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("resnet-9000", "unknown encoder"),
        ("no_such_module:make", "cannot import"),
        ("untaint.errors:make", "cannot import"),
        (Path("nowhere.onnx"), "no such encoder"),
        (3, "torch module or a function"),
    ],
)
def test_what_is_no_encoder_is_refused(given: object, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        encoders.load(given)


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(BadInput, match="not an ONNX model"):
        encoders.load(path)
    with pytest.raises(BadInput, match="colour images"):
        encoders.load(graph(tmp_path / "vectors.onnx", ["n", 7], [1]))


def test_weights_other_than_the_published_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "_WEIGHTS", hashlib.sha256(b"").hexdigest())
    with pytest.raises(BadInput, match="published weights"):
        encoders.load(encoders.HOUSE)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(BadInput, match="not installed"):
        encoders.load(encoders.HOUSE)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BadInput, match="needs onnxruntime"):
        encoders.load(graph(tmp_path / "means.onnx", ["n", 3, "h", "w"], [2, 3]))


def test_encoders_that_differ_have_different_digests(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first, second = graph(tmp_path / "a.onnx", ["n", 3, "h", "w"], [2, 3]), graph(tmp_path / "b.onnx", ["n", "h", "w", 3], [1, 2])
    given = [
        encoders.HOUSE,
        first,
        second,
        nn.Linear(2, 2),
        nn.Linear(2, 2),
        np.mean,
        lambda images: images,
        lambda images: -images,
    ]
    assert len({encoders.digest(each) for each in given}) == len(given)
    assert [encoders.digest(each) for each in given] == [encoders.digest(each) for each in given]


def test_the_digest_of_ones_own_code_is_that_of_what_it_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one_layer.py").write_text("from torch import nn\n\nlayer = nn.Linear(2, 2)\n\ndef make():\n    return layer\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert encoders.digest("one_layer:make") == encoders.digest(sys.modules["one_layer"].layer)
    sys.modules.pop("one_layer")


def test_a_module_is_left_as_it_came() -> None:
    norm = nn.BatchNorm2d(3)
    net = nn.Sequential(nn.Dropout(), nn.Sequential(norm).eval())
    encode, _ = encoders.load(net)
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    np.testing.assert_array_equal(encode(IMAGES), encode(IMAGES))
    assert [layer.training for layer in net.modules()] == [True, True, False, False]
    assert torch.equal(norm.running_mean, before)


def test_code_that_fails_or_answers_nonsense_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_encoder.py").write_text("def make():\n    raise KeyError('weights')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadInput, match="cannot be made: KeyError"):
        encoders.load("broken_encoder:make")
    sys.modules.pop("broken_encoder")
    encode, _ = encoders.load(lambda images: images.mean())
    with pytest.raises(BadInput, match="of 3 images"):
        encode(IMAGES)
