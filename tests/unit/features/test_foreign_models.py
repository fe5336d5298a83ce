"""A model from outside: read without running code, or refused with a reason."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from untaint.errors import BadInput
from untaint.nets import foreign
from untaint.nets.convnet import ConvNet, ConvNetSpec, to_batch

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 9, 8, 3), dtype=np.uint8)
ROWS = np.arange(0, 30, 2)
SPEC = ConvNetSpec(9, 8, 3, 4, (4, 6), 10)


def house(spec: ConvNetSpec = SPEC) -> ConvNet:
    torch.manual_seed(0)
    return ConvNet(spec).eval()


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from((1, 3)),
    st.integers(2, 4),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_a_house_network_comes_back(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, channels: int, classes: int, widths: list[int]
) -> None:
    net = house(ConvNetSpec(height, width, channels, classes, tuple(widths), 5))
    path = tmp_path_factory.mktemp("nets") / "net.safetensors"
    foreign.save(net, path)
    found = foreign.load(path)
    assert found.spec == net.spec
    images = torch.rand(2, channels, height, width)
    torch.testing.assert_close(found(images), net(images))


def test_what_is_observed_is_the_input_of_the_last_linear_layer() -> None:
    net = house()
    found = foreign.observe(net, PIXELS, ROWS, batch=4)
    with torch.no_grad():
        batch = to_batch(PIXELS[ROWS])
        np.testing.assert_allclose(found.embeddings, net.features(batch - 0.5).numpy(), atol=1e-5)
        np.testing.assert_allclose(found.probabilities, torch.softmax(net(batch), 1).numpy(), atol=1e-5)
    assert (found.holdout_loss, found.origin) == ((), "given model ConvNet")


def test_a_module_is_left_as_it_came() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(216, 4))
    net.train()
    net[1].eval()
    first, second = foreign.observe(net, PIXELS, ROWS), foreign.observe(net, PIXELS, ROWS)
    np.testing.assert_array_equal(first.embeddings, second.embeddings)
    assert [layer.training for layer in net] == [True, False, True]
    assert net.training
    assert not net[2]._forward_hooks


def _garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _huge_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


def _cut(path: Path) -> None:
    foreign.save(house(), path)
    path.write_bytes(path.read_bytes()[:-20])


def _folder(path: Path) -> None:
    path.mkdir()


def _of_others(path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, path)


def _described(shape: object) -> Callable[[Path], None]:
    return lambda path: save_file(house().state_dict(), path, {"untaint.convnet": json.dumps(shape)})


GOOD = {"height": 9, "width": 8, "channels": 3, "classes": 4, "widths": [4, 6], "hidden": 10}
BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "garbage": (_garbage, "is not a safetensors file"),
    "empty": (_empty, "is not a safetensors file"),
    "a header of exabytes": (_huge_header, "is not a safetensors file"),
    "cut": (_cut, "is not a safetensors file"),
    "a folder": (_folder, "no such model file"),
    "absent": (lambda path: None, "no such model file"),
    "weights of others": (_of_others, "does not say which network"),
    "not a shape": (_described("much"), "describes a network its weights do not fit"),
    "a list": (_described([1, 2]), "describes a network its weights do not fit"),
    "nothing": (_described({}), "describes a network its weights do not fit"),
    "more than it has": (_described({**GOOD, "depth": 3}), "describes a network its weights do not fit"),
    "other weights": (_described({**GOOD, "hidden": 11}), "describes a network its weights do not fit"),
    "fewer than none": (_described({**GOOD, "widths": [-4, 6]}), "describes a network its weights do not fit"),
    "no numbers": (_described({**GOOD, "widths": ["a"]}), "describes a network its weights do not fit"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_is_refused_that_is(case: str, tmp_path: Path) -> None:
    write, reason = BAD[case]
    path = tmp_path / "net.safetensors"
    write(path)
    with pytest.raises(BadInput, match=reason):
        foreign.load(path)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["model.pt", "model.pkl", "model.safetensors"])
def test_a_pickle_is_refused_and_not_run(name: str, tmp_path: Path) -> None:
    path, mark = tmp_path / name, tmp_path / "mark"
    path.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(BadInput, match="is not a safetensors file"):
        foreign.observe(path, PIXELS, ROWS)
    torch.save({"bomb": Bomb(mark)}, path)
    with pytest.raises(BadInput, match="is not a safetensors file"):
        foreign.observe(path, PIXELS, ROWS)
    assert not mark.exists()


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(BadInput, match="the model refuses images of 9x8x3"):
        foreign.observe(house(ConvNetSpec(16, 16, 3, 4)), PIXELS, ROWS)
    with pytest.raises(BadInput, match="the model refuses images of 9x8x3"):
        foreign.observe(house(ConvNetSpec(9, 8, 1, 4)), PIXELS, ROWS)


class Unused(nn.Module):
    """Has a linear layer and passes it by."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


def test_a_model_without_a_linear_layer_is_refused() -> None:
    with pytest.raises(BadInput, match="has no linear layer"):
        foreign.observe(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), PIXELS, ROWS)
    with pytest.raises(BadInput, match="does not see every image once"):
        foreign.observe(Unused(), PIXELS, ROWS)


def test_the_digest_follows_weights_and_structure(tmp_path: Path) -> None:
    net = house()
    before = foreign.digest(net)
    assert foreign.digest(house()) == before
    with torch.no_grad():
        net.head.bias.add_(1)
    assert foreign.digest(net) != before
    assert foreign.digest(nn.Sequential(nn.Flatten(), nn.ReLU())) != foreign.digest(nn.Sequential(nn.Flatten(), nn.Tanh()))
    foreign.save(net, tmp_path / "a")
    foreign.save(house(), tmp_path / "b")
    assert foreign.digest(tmp_path / "a") != foreign.digest(tmp_path / "b")
    assert foreign.digest(tmp_path / "absent") == ""
