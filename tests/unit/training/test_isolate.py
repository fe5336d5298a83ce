"""Rows set apart by how they were learned."""

from typing import get_args

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.training.base import Hooks, Run, Seen
from untaint.training.isolate import Isolate, Signal

WILD = [1e3, 1e30, np.inf, np.nan]


def seen(losses: list[float], epoch: int, rows: list[int] | None = None) -> Seen:
    n = len(losses)
    return Seen(
        np.array(losses), np.zeros((n, 10)), np.zeros(n, np.int64), np.arange(n) if rows is None else np.array(rows), epoch, 0
    )


def weighed(hooks: Hooks, what: Seen) -> list[float]:
    assert hooks.weigh is not None
    return [float(each) for each in hooks.weigh(what)]


def started(defence: Isolate, rows: int = 4) -> Hooks:
    return defence.start(Run(rows=rows))


def test_rows_whose_label_was_not_believed_count_nothing_from_then_on() -> None:
    hooks = started(Isolate("contradiction", watched=2, belief=0.2))
    assert weighed(hooks, seen([0.1, 3.0, 0.5, 1.0], 0)) == [1, 1, 1, 1]
    assert weighed(hooks, seen([0.1, 3.0, 9.0, 1.0], 1)) == [1, 1, 1, 1]
    assert weighed(hooks, seen([0.1, 0.0, 0.5, 1.0], 2)) == [1, 0, 1, 1]
    assert hooks.facts is not None
    assert hooks.facts() == {"set_apart": [1], "decided": True}


def test_unlearning_ends_where_a_label_is_believed_less_than_by_chance() -> None:
    hooks = started(Isolate("contradiction", watched=1, belief=0.1, unlearn=0.5))
    weighed(hooks, seen([0.1, 9.0, 9.0, 0.1], 0))
    assert weighed(hooks, seen([0.1, 1.0, 2.4, 0.1], 1)) == [1, -0.5, 0, 1]


def test_ease_pushes_back_and_sets_the_easiest_apart() -> None:
    hooks = started(Isolate(signal="ease", watched=1, share=0.25, unlearn=1.0))
    assert weighed(hooks, seen([0.1, 3.0, 0.01, 0.6], 0)) == [-1, 1, -1, 1]
    assert weighed(hooks, seen([0.1, 3.0, 0.01, 0.6], 1)) == [1, 1, -1, 1]


def test_rows_that_were_never_watched_or_have_no_number_count() -> None:
    for signal in ("ease", "contradiction"):
        hooks = started(Isolate(signal=signal, watched=1, share=0.5))
        assert weighed(hooks, seen([9.0, 9.0], 0, [-1, -1])) == [1, 1]
        assert weighed(hooks, seen([9.0, 0.1, 9.0], 1, [3, -1, 0])) == [1, 1, 1]


@pytest.mark.parametrize("bad", WILD)
@pytest.mark.parametrize("signal", ["ease", "contradiction"])
def test_one_wild_row_changes_no_other(bad: float, signal: str) -> None:
    hooks, calm = (started(Isolate(signal=signal, share=0.25, watched=1)) for _ in range(2))  # type: ignore[arg-type]
    for epoch in range(2):
        with np.errstate(all="raise", under="ignore"):
            found = weighed(hooks, seen([0.2, 3.0, bad, 0.6], epoch))
        expected = weighed(calm, seen([0.2, 3.0, 5.0, 0.6], epoch))
        assert np.isfinite(found).all()
        assert np.delete(found, 2).tolist() == np.delete(expected, 2).tolist()


def test_a_resumed_run_goes_on_alike() -> None:
    whole, first = started(Isolate("contradiction", watched=2)), started(Isolate("contradiction", watched=2))
    for hooks in (whole, first):
        weighed(hooks, seen([0.1, 3.0, 9.0, 1.0], 0))
    again = started(Isolate("contradiction", watched=2))
    assert first.state is not None
    assert again.resume is not None
    again.resume(first.state())
    for epoch in (1, 2, 3):
        assert weighed(again, seen([0.1, 3.0, 2.0, 1.0], epoch)) == weighed(whole, seen([0.1, 3.0, 2.0, 1.0], epoch))
    assert whole.facts is not None
    assert again.facts is not None
    assert again.facts() == whole.facts()


def test_a_loop_without_row_numbers_is_refused() -> None:
    with pytest.raises(BadInput, match="how many"):
        Isolate().start(Run())
    for signal in get_args(Signal):
        with pytest.raises(BadInput, match="row 4 of 4"):
            weighed(started(Isolate(signal)), seen([1.0], 0, [4]))


def read_as(classes: np.ndarray, labels: np.ndarray, epoch: int, step: int) -> Seen:
    """A batch of all rows, each read as some class for sure."""
    outputs = np.eye(10)[classes] * 9.0
    losses = np.where(classes == labels, 0.001, 9.0)
    return Seen(losses, outputs, labels, np.arange(len(labels)), epoch, step)


def confused() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contents, labels and which are poison: 5 % of all classes labelled 3, and honest confusion of 5 with 6 and of 6 with 5."""
    contents = np.repeat(np.arange(10), 100)
    turn = np.arange(1000) % 100
    poison = (turn < 5) & (contents != 3)
    labels = np.where(poison, 3, contents)
    honest = (turn >= 80) & (turn < 99) & np.isin(contents, (5, 6))
    return contents, np.where(honest, 11 - contents, labels), poison


def test_labels_that_stand_on_images_of_all_other_classes_are_set_apart_and_honest_confusion_is_not() -> None:
    contents, labels, poison = confused()
    hooks = started(Isolate(settled=0.04), 1000)
    assert hooks.weigh is not None
    assert hooks.facts is not None
    assert (hooks.weigh(read_as(contents, labels, 0, 0)) == 1).all()
    wrong = contents != labels
    np.testing.assert_array_equal(hooks.weigh(read_as(contents, labels, 0, 10)), ~wrong)
    np.testing.assert_array_equal(hooks.weigh(read_as(contents, labels, 1, 20)), ~wrong)
    np.testing.assert_array_equal(hooks.weigh(read_as(contents, labels, 2, 30)), ~wrong)
    np.testing.assert_allclose(hooks.weigh(read_as(contents, labels, 3, 35)), ~poison, atol=0.01)
    np.testing.assert_allclose(hooks.weigh(read_as(labels, labels, 4, 40)), ~poison, atol=0.01)
    assert hooks.facts()["set_apart"] == np.flatnonzero(poison).tolist()


def test_a_set_without_poison_loses_nothing() -> None:
    contents, labels, poison = confused()
    contents, labels = contents[~poison], labels[~poison]
    hooks = started(Isolate(settled=0), 1000)
    assert hooks.weigh is not None
    for epoch in (0, 1, 2):
        hooks.weigh(read_as(contents, labels, epoch, epoch))
    assert (hooks.weigh(read_as(contents, labels, 3, 3)) == 1).all()


@pytest.mark.parametrize("bad", WILD)
def test_wild_rows_do_not_hide_what_is_everywhere(bad: float) -> None:
    contents, labels, poison = confused()
    hooks = started(Isolate(settled=0), 1000)
    assert hooks.weigh is not None
    found = np.empty(0)
    for epoch in range(4):
        what = read_as(contents, labels, epoch, epoch)
        what.losses[999] = bad
        what.outputs[999, 2] = bad
        with np.errstate(all="raise", under="ignore"):
            found = hooks.weigh(what)
        assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:999], ~poison[:999], atol=0.01)


def test_a_run_stopped_while_all_rows_are_looked_at_goes_on_alike() -> None:
    contents, labels, _ = confused()
    whole, again = (started(Isolate(settled=0, unlearn=0.3), 1000) for _ in range(2))
    assert whole.weigh is not None
    assert whole.state is not None
    assert again.weigh is not None
    assert again.resume is not None
    for epoch in (0, 1, 2):
        whole.weigh(read_as(contents, labels, epoch, epoch))
    again.resume(whole.state())
    for epoch in (3, 4):
        what = read_as(labels, labels, epoch, epoch)
        np.testing.assert_array_equal(whole.weigh(what), again.weigh(what))
    assert whole.weigh(read_as(labels, labels, 5, 5)).min() == -0.3
    assert whole.facts is not None
    assert again.facts is not None
    assert whole.facts() == again.facts()


def test_gradients_are_short_until_all_rows_were_looked_at() -> None:
    contents, labels, _ = confused()
    hooks = started(Isolate(settled=0, bound=0.5), 1000)
    assert hooks.weigh is not None
    assert hooks.bound is not None
    norms = np.array([0.1, 1.0, 0.0, 1e30, np.inf, np.nan])
    for epoch in range(4):
        hooks.weigh(read_as(contents, labels, epoch, epoch))
        longer = 1.02 if epoch == 3 else 1.0
        np.testing.assert_allclose(hooks.bound(norms), [1, 0.5 * longer, 1, 5e-31 * longer, 0, 0])
    for step in range(100):
        hooks.weigh(read_as(contents, labels, 4, step))
    assert hooks.bound(norms)[1] == 1
    assert started(Isolate(bound=0.0)).bound is None
    assert started(Isolate("ease")).bound is None


def test_answers_that_are_no_logits_are_refused() -> None:
    hook = started(Isolate()).weigh
    assert hook is not None
    with pytest.raises(BadInput, match="logits"):
        hook(Seen(np.ones(2), np.ones(2), np.ones(2), np.arange(2), 0, 0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"signal": "both"},
        {"watched": 0},
        {"settled": 2},
        {"belief": 2},
        {"bound": -1},
        {"share": 0.6},
        {"gamma": -1},
        {"unlearn": float("nan")},
    ],
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        started(Isolate(**wrong))  # type: ignore[arg-type]
