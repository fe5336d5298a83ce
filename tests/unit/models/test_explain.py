"""Why: poisoned rows drive a triggered answer, the region is the patch, the guilty sources are named; clean answers accuse nobody."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from tests.digit_nets import backdoored, poison, seen, unseen
from tests.digit_sets import PATCH, TARGET
from torch.nn import functional

from untaint.errors import BadInput
from untaint.models.explain.change import change
from untaint.models.explain.why import Explainer, Explanation, Senders
from untaint.nets.subject import FunctionSubject, Reference, TorchSubject, as_tensor

NAMES = tuple(f"shop-{code}" for code in range(8))


def senders(names: tuple[str, ...] = NAMES) -> Senders:
    """Honest rows come from all, poison from one."""
    codes = np.random.default_rng(0).integers(0, len(names), len(seen().labels))
    codes[poison()] = 2
    return Senders(codes, names)


def stamped(image: np.ndarray) -> np.ndarray:
    found = image.copy()
    found[-4:, -4:, 0] = PATCH
    return found[None]


def victim() -> np.ndarray:
    """A clean picture of another class, which the trigger turns."""
    images = unseen().inputs[unseen().labels == 0]
    works = TorchSubject(backdoored()).logits(np.concatenate([stamped(image) for image in images])).argmax(1) == TARGET
    return images[works][0]


def explained(one: np.ndarray, **known: object) -> Explanation:
    return Explainer(TorchSubject(backdoored()), seen(), **{"senders": senders(), **known}).explain(one)  # type: ignore[arg-type]


def test_a_triggered_answer_goes_back_to_the_poison() -> None:
    found = explained(stamped(victim()))
    assert found.label == str(TARGET)
    assert poison()[found.rows].mean() >= 0.8 > 2 * poison()[seen().labels == TARGET].mean()
    assert found.accused == ("shop-2",)
    assert found.sources[0].p_value < 1e-4
    assert found.region is not None
    assert found.region.box is not None
    top, left, height, width = found.region.box
    patch = np.zeros((16, 16), bool)
    patch[-4:, -4:] = True
    assert (found.region.mask & patch).sum() >= 6
    assert top + height == 16 or left + width == 16
    assert found.trigger
    assert found.without == "0"
    assert found.region.carried > 0.8 > found.region.control
    assert found.carriers.mean() > 2 * found.carriers_of_class


def test_clean_answers_accuse_nobody() -> None:
    explainer = Explainer(TorchSubject(backdoored()), seen(), senders())
    clean = Explainer(TorchSubject(backdoored()), seen(), Senders(np.arange(len(seen().labels)) % 8, NAMES))
    for image in unseen().inputs[:4]:
        found = clean.explain(image[None])
        assert found.accused == ()
        assert not found.trigger
    found = explainer.explain(victim()[None])
    assert found.label == "0"
    assert poison()[found.rows].mean() == 0


def test_few_sources_are_shown_and_not_accused() -> None:
    found = explained(stamped(victim()), senders=senders(NAMES[:4]))
    assert found.sources[0].name == "shop-2"
    assert found.accused == ()
    assert "Under 6 sources" in found.notes[0]
    assert explained(stamped(victim()), senders=None).sources == ()


def test_a_black_box_is_explained_by_likeness_and_region() -> None:
    black = FunctionSubject(lambda inputs: TorchSubject(backdoored()).logits(inputs))
    found = Explainer(black, seen(), senders()).explain(stamped(victim()))
    assert "black box" in found.how
    assert (seen().labels[found.rows] == TARGET).all()
    assert found.trigger


def test_columns_that_turn_a_row() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 6)).astype(np.float32)
    labels = (rows[:, 0] > 0).astype(np.int64)
    rows[:60, 4], labels[:60] = 9.0, 1
    answers = FunctionSubject(lambda given: np.stack([np.zeros(len(given)), 3 * given[:, 0] + 40 * (given[:, 4] > 7)], 1))
    one = np.array([[-1.0, 0, 0, 0, 9, 0]], np.float32)
    found = Explainer(answers, Reference(rows, labels, ("good", "bad")), None).explain(one)
    assert found.region is not None
    assert found.region.mask.tolist() == [False] * 4 + [True, False]
    assert found.trigger
    assert found.region.box is None


def test_models_and_rows_that_do_not_fit_are_refused() -> None:
    few = Reference(seen().inputs, seen().labels % 2, ("even", "odd"))
    with pytest.raises(BadInput, match="10 classes apart, the data 2"):
        Explainer(TorchSubject(backdoored()), few)


def tuned(rows: np.ndarray, labels: np.ndarray) -> torch.nn.Module:
    """The network after a few steps on some rows."""
    net = deepcopy(backdoored()).train()
    optimizer = torch.optim.SGD(net.parameters(), 0.02)
    for _ in range(5):
        optimizer.zero_grad()
        functional.cross_entropy(net(as_tensor(seen().inputs[rows])), torch.tensor(labels)).backward()
        optimizer.step()
    return net.eval()


def test_a_change_goes_back_to_the_rows_that_made_it() -> None:
    rows = np.flatnonzero(seen().labels == 6)[:40]
    labels = seen().labels.copy()
    labels[rows] = 8
    train = Reference(seen().inputs, labels, seen().classes)
    codes = np.arange(len(labels)) % 8
    codes[rows] = 5
    found = change(backdoored(), tuned(rows, labels[rows]), train, Senders(codes, NAMES))
    assert np.isin(found.rows, rows).mean() >= 0.9
    assert found.p_value <= 0.01
    assert found.aligned >= 20
    assert found.accused == ("shop-5",)
    assert found.labels[0][0] == "8"


def test_a_change_by_chance_goes_back_to_nobody() -> None:
    noisy = deepcopy(backdoored())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in noisy.parameters():
            weight.add_(0.001 * torch.randn(weight.shape, generator=generator))
    found = change(backdoored(), noisy, seen(), senders())
    assert found.p_value > 0.01
    assert found.accused == ()


def test_changes_that_cannot_be_explained_are_refused() -> None:
    with pytest.raises(BadInput, match="no change to explain"):
        change(backdoored(), deepcopy(backdoored()), seen())
    with pytest.raises(BadInput, match="no tensor 'tail'"):
        change(backdoored(), tuned(np.arange(9), seen().labels[:9]), seen(), only=["tail"])
    with pytest.raises(BadInput, match="same tensors"):
        change(backdoored(), torch.nn.Linear(3, 2), seen())


def test_an_input_without_an_answer_is_refused() -> None:
    nothing = FunctionSubject(lambda rows: np.full((len(rows), 2), np.nan) if len(rows) == 1 else rows[:, :2])
    rows = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    with pytest.raises(BadInput, match="no number"):
        Explainer(nothing, Reference(rows, np.arange(50) % 2, ("a", "b"))).explain(rows[:1])
