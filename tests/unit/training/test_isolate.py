"""Rows set apart by how they were learned."""

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.training.base import Hooks, Run, Seen
from untaint.training.isolate import Isolate

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
    hooks = started(Isolate(watched=2, belief=0.2))
    assert weighed(hooks, seen([0.1, 3.0, 0.5, 1.0], 0)) == [1, 1, 1, 1]
    assert weighed(hooks, seen([0.1, 3.0, 9.0, 1.0], 1)) == [1, 1, 1, 1]
    assert weighed(hooks, seen([0.1, 0.0, 0.5, 1.0], 2)) == [1, 0, 1, 1]
    assert hooks.facts is not None
    assert hooks.facts() == {"set_apart": [1], "decided": True}


def test_unlearning_ends_where_a_label_is_believed_less_than_by_chance() -> None:
    hooks = started(Isolate(watched=1, unlearn=0.5))
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
    whole, first = started(Isolate(watched=2)), started(Isolate(watched=2))
    for hooks in (whole, first):
        weighed(hooks, seen([0.1, 3.0, 9.0, 1.0], 0))
    again = started(Isolate(watched=2))
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
    with pytest.raises(BadInput, match="row 4 of 4"):
        weighed(started(Isolate()), seen([1.0], 0, [4]))


@pytest.mark.parametrize(
    "wrong", [{"signal": "both"}, {"watched": 0}, {"belief": 2}, {"share": 0.6}, {"gamma": -1}, {"unlearn": float("nan")}]
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(wrong))):
        started(Isolate(**wrong))  # type: ignore[arg-type]
