"""Model inversion: classes come out, by slope best and by labels least; what is let out decides."""

import numpy as np
import pytest
import torch
from tests.digit_nets import backdoored, seen, unseen

from untaint.attacks.inversion.exposure import exposure, fresh_of
from untaint.attacks.inversion.oracle import Oracle, Outlet
from untaint.attacks.inversion.poison import Flips, Lift, chosen, likeness
from untaint.attacks.inversion.recover import Recovered, Search, by_answers, by_labels, by_slope
from untaint.attacks.inversion.space import Pictures, TableRows, space_of
from untaint.errors import BadInput
from untaint.nets.subject import FunctionSubject, Reference, TorchSubject

SEARCH = Search([0, 1, 4], restarts=2, steps=80)


def subject() -> TorchSubject:
    return TorchSubject(backdoored())


def answered(found: Recovered) -> float:
    """Share of the recovered inputs that the model itself answers as meant."""
    return float(np.mean(subject().logits(found.inputs).argmax(1) == found.codes))


def test_by_slope_every_class_is_recovered_and_a_fresh_judge_names_most() -> None:
    found = by_slope(subject(), space_of(seen().inputs), SEARCH)
    assert found.inputs.shape == (6, 16, 16, 1)
    assert found.inputs.dtype == np.uint8
    assert found.codes.tolist() == [0, 0, 1, 1, 4, 4]
    assert found.queries == 0
    assert answered(found) == 1
    scored = exposure(subject(), found, seen(), fresh_of(unseen(), 0), Outlet())
    assert scored.recognised >= 0.5 > 3 * scored.chance
    assert [each.name for each in scored.classes] == ["0", "1", "4"]
    assert all(seen().labels[each.nearest] == int(each.name) for each in scored.classes)
    assert 0.7 <= scored.nearness.ratio <= 1.4
    assert 0 <= scored.membership.auc <= 1


def test_by_answers_the_budget_is_kept_and_the_module_is_not_asked_for() -> None:
    black = FunctionSubject(lambda inputs: subject().logits(inputs))
    oracle = Oracle(black, Outlet(), 3000)
    found = by_answers(oracle, space_of(seen().inputs, 6), Search([0, 4], restarts=1))
    assert found.queries == oracle.asked <= 3000
    assert answered(found) == 1


def test_by_labels_alone() -> None:
    oracle = Oracle(subject(), Outlet(top=True), 2000)
    found = by_labels(oracle, space_of(seen().inputs, 6), Search(range(10), restarts=1))
    assert oracle.asked <= 2000
    assert len(found.codes) >= 2
    assert answered(found) == 1


def test_a_class_no_draw_meets_is_not_there() -> None:
    never = FunctionSubject(lambda inputs: np.tile([0.0, 9.0, 0.0], (len(inputs), 1)))
    found = by_labels(Oracle(never, Outlet(top=True), 200), space_of(seen().inputs, 4), Search([0, 1], restarts=1))
    assert found.codes.tolist() == [1]
    with pytest.raises(BadInput, match="met none of the classes"):
        by_labels(Oracle(never, Outlet(top=True), 200), space_of(seen().inputs, 4), Search([0, 2], restarts=1))


def test_the_same_seed_gives_the_same_pictures() -> None:
    search = Search([3], restarts=1, steps=5, seed=7)
    first, second = (by_slope(subject(), space_of(seen().inputs), search) for _ in range(2))
    assert np.array_equal(first.inputs, second.inputs)


def test_what_shows_no_slope_is_refused_by_slope() -> None:
    black = FunctionSubject(lambda inputs: np.zeros((len(inputs), 3)))
    with pytest.raises(BadInput, match="no slope"):
        by_slope(black, space_of(seen().inputs), SEARCH)


@pytest.mark.parametrize("inputs", [np.zeros((3, 7), np.int64), np.zeros((3, 4, 4), np.float32), np.zeros((0, 2), np.float32)])
def test_what_is_neither_picture_nor_row_is_refused(inputs: np.ndarray) -> None:
    with pytest.raises(BadInput, match="pictures and of tables"):
        space_of(inputs)


def test_outlets() -> None:
    logits, rng = np.array([[2.0, 0.0, -1.0]]), np.random.default_rng(0)
    exact = Outlet().let_out(logits, rng)
    assert exact.sum() == pytest.approx(1)
    assert Outlet(1).let_out(logits, rng).tolist() == [[0.8, 0.1, 0.0]]
    assert Outlet(top=True).let_out(logits, rng).tolist() == [[1, 0, 0]]
    noisy = Outlet(noise=0.1)
    assert not np.array_equal(noisy.let_out(logits, rng), noisy.let_out(logits, rng))
    assert Outlet(2).logarithms(np.array([[0.0]]))[0, 0] == pytest.approx(np.log(0.005))
    assert [str(outlet) for outlet in (Outlet(), Outlet(2), Outlet(1, top=True), Outlet(noise=0.2))] == [
        "as they are", "rounded to 2 decimals", "labels only", "noise of 0.2",
    ]  # fmt: skip
    for wrong in ({"decimals": 9}, {"noise": -1.0}):
        with pytest.raises(BadInput):
            Outlet(**wrong)


def test_waves_make_pictures_and_fewer_make_smooth_ones() -> None:
    rough, smooth = Pictures((12, 10, 3)), Pictures((12, 10, 3), 4)
    assert (rough.size, smooth.size) == (360, 48)
    shown = smooth.shown(torch.randn((2, 48), generator=torch.Generator().manual_seed(0)))
    assert shown.shape == (2, 3, 12, 10)
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1
    assert smooth.given(shown).shape == (2, 12, 10, 3)
    grey = torch.full((1, 3, 12, 10), 0.5)
    assert float(smooth.unlikely(grey)[0]) < float(smooth.unlikely(torch.rand(1, 3, 12, 10))[0])


def test_rows_stay_in_the_range_of_their_columns() -> None:
    rng = np.random.default_rng(0)
    given = rng.normal([0, 5], [1, 2], (300, 2)).astype(np.float32)
    space = space_of(given)
    assert isinstance(space, TableRows)
    shown = space.given(space.shown(torch.randn((50, 2)) * 20))
    assert (shown >= space.low - 1e-5).all()
    assert (shown <= space.high + 1e-5).all()


def test_a_class_of_a_table_is_recovered_where_it_lies() -> None:
    answers = FunctionSubject(lambda rows: np.stack([-((rows - 2) ** 2).sum(1), -((rows + 2) ** 2).sum(1)], 1))
    rng = np.random.default_rng(0)
    codes = np.arange(200) % 2
    rows = rng.normal(np.where(codes, -2, 2)[:, None], 0.5, (200, 3)).astype(np.float32)
    found = by_answers(Oracle(answers, Outlet(), 2000), space_of(rows), Search([0, 1], restarts=1))
    assert (found.of(0) > 0).all()
    assert (found.of(1) < 0).all()
    reference = Reference(rows, codes, ("good", "bad"))
    scored = exposure(answers, found, reference, fresh_of(reference, 0), Outlet())
    assert scored.recognised == 1


def test_short_weights_and_cells_without_a_number() -> None:
    short = TorchSubject(backdoored().to(torch.bfloat16))
    try:
        found = by_slope(short, space_of(seen().inputs), Search([0], restarts=1, steps=40))
        assert short.logits(found.inputs).argmax(1).tolist() == [0]
    finally:
        backdoored().float()
    rows = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    rows[::9, 1], rows[4, 2] = np.nan, np.inf
    reference = Reference(rows, np.arange(80) % 2, ("a", "b"))
    recovered = Recovered(rows[1:3], np.array([0, 1]), 0, "")
    answers = FunctionSubject(lambda given: np.nan_to_num(given[:, :2], posinf=9.0))
    scored = exposure(answers, recovered, reference, fresh_of(reference, 0), Outlet())
    assert 0 <= scored.recognised <= 1
    assert np.isfinite(scored.nearness.ratio)
    assert np.isfinite(space_of(rows).given(space_of(rows).shown(torch.zeros(1, 3)))).all()


def test_flips_by_what_is_known() -> None:
    pool, rng = seen(), np.random.default_rng(0)
    templates = Recovered(unseen().inputs[unseen().labels == 0][:4], np.zeros(4, np.int64), 0, "real ones")
    rows = {which: chosen(which, pool, 0, 60, templates, rng) for which in ("nothing", "inversion", "data")}
    hits = {which: np.mean(pool.labels[found] == 0) for which, found in rows.items()}
    assert hits["nothing"] < 0.3
    assert hits["inversion"] > 0.8
    assert hits["data"] == 1
    assert all(len(set(found.tolist())) == 60 for found in rows.values())
    with pytest.raises(BadInput, match="'3' was not recovered"):
        chosen("inversion", pool, 3, 5, templates, rng)
    with pytest.raises(BadInput, match="cannot be flipped"):
        chosen("data", pool, 3, 5000, templates, rng)


def test_a_row_is_most_like_itself() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    assert likeness(rows, rows[7:8]).argmax() == 7


def test_what_knowledge_is_worth() -> None:
    flips = (Flips("nothing", 0.1, 0.1), Flips("inversion", 0.8, 0.4), Flips("data", 1.0, 0.7))
    assert Lift("a", "b", 0.1, 0.0, flips).worth == pytest.approx(0.5)
    assert np.isnan(Lift("a", "b", 0.1, 0.0, tuple(Flips(each.knowledge, 0, 0.1) for each in flips)).worth)


def test_without_fresh_rows_nothing_is_said_of_memory() -> None:
    found = Recovered(seen().inputs[:2], seen().labels[:2], 0, "")
    scored = exposure(subject(), found, seen(), None, Outlet())
    assert np.isnan(scored.nearness.p_value)
    assert np.isnan(scored.membership.advantage)
    assert "fresh" in scored.notes[0]
    with pytest.raises(BadInput, match="too few"):
        fresh_of(Reference(seen().inputs[:5], seen().labels[:5], seen().classes), 0)
