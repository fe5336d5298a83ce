"""Certified ensembles: each model depends on its own rows, and certificates hold when the data are really poisoned."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.datasets import load_breast_cancer, load_digits

from untaint.errors import BadInput, CannotWrite
from untaint.training.base import Run
from untaint.training.certify import Certify
from untaint.training.engines import ensemble_file, part_models, partitions
from untaint.training.engines.partitions import Certified, CertifiedEnsemble

PARTS = 20


@cache
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training pictures (1400, 8, 8) uint8 and their codes, and 200 for testing."""
    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(images))[:1600]
    return images[order[200:]], bunch.target[order[200:]], images[order[:200]], bunch.target[order[:200]]


@cache
def ensemble(spread: int = 1, rule: str = "run-off") -> CertifiedEnsemble:
    x, y, _, _ = digits()
    return CertifiedEnsemble.fit(x, y, 10, Certify(PARTS, spread, rule))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_models, "_FEATURES", 128)


def same(one: CertifiedEnsemble, two: CertifiedEnsemble) -> np.ndarray:
    """(models,) equal to the last bit."""
    return np.array(
        [
            a.tobytes() == b.tobytes() and c.tobytes() == d.tobytes()
            for a, b, c, d in zip(one.weights, two.weights, one.centres, two.centres, strict=True)
        ]
    )


def test_digits_are_told_apart_with_proof() -> None:
    _, _, x, y = digits()
    found = ensemble().predict(x)
    assert found.accuracy(y) >= 0.93
    assert found.accuracy(y, 3) >= 0.85
    assert found.curve(y)[[0, 3]].tolist() == [found.accuracy(y), found.accuracy(y, 3)]
    assert (np.diff(found.curve(y)) <= 0).all()
    assert found.votes.sum(axis=1).tolist() == [PARTS] * len(x)
    assert found.radii.max() <= PARTS // 2  # class 0 wins a tie
    assert ensemble().sizes.sum() == 1400


def test_the_order_of_rows_changes_nothing() -> None:
    x, y, _, _ = digits()
    order = np.random.default_rng(1).permutation(len(x))
    assert same(CertifiedEnsemble.fit(x[order], y[order], 10, Certify(PARTS)), ensemble()).all()


def test_pictures_as_bytes_or_floats_are_the_same() -> None:
    x, y, _, _ = digits()
    assert same(CertifiedEnsemble.fit((x / 255).astype(np.float32), y, 10, Certify(PARTS)), ensemble()).all()


@pytest.mark.parametrize("spread", [1, 3])
def test_a_model_trained_alone_is_the_one_trained_among_all(spread: int) -> None:
    x, y, _, _ = digits()
    whole = ensemble(spread)
    prepared, _ = part_models.prepared(x)
    parts = part_models.parts_of(prepared, y, np.arange(len(x)), PARTS * spread, 0)
    model = 4
    rows = np.concatenate([parts[part] for part in np.flatnonzero((whole.reach == model).any(axis=1))])
    alone = CertifiedEnsemble.fit(x[rows], y[rows], 10, Certify(PARTS, spread))
    assert same(alone, whole)[model]
    assert alone.sizes[model] == whole.sizes[model] == len(rows)
    assert not same(alone, whole).all()


@pytest.mark.parametrize("table", [False, True])
def test_one_row_changes_one_part_whatever_it_holds(table: bool) -> None:
    x, y, _, _ = digits()
    inputs = x.reshape(len(x), -1).astype(np.float32) if table else x.astype(np.float32) / 255
    before = CertifiedEnsemble.fit(inputs, y, 10, Certify(PARTS))
    for value in (0.5, 1e3, 1e30, 3e38, np.inf, -np.inf, np.nan):
        odd = np.full((1, *inputs.shape[1:]), value, inputs.dtype)
        after = CertifiedEnsemble.fit(np.concatenate([odd, inputs]), np.append(7, y), 10, Certify(PARTS))
        finite = bool(np.isfinite(value))
        assert (~same(before, after)).sum() == int(finite), value
        assert after.dropped == int(not finite)
        after.predict(inputs[:5])


def test_copies_join_their_original_and_labels_do_not_move_rows() -> None:
    x, y, _, _ = digits()
    more = CertifiedEnsemble.fit(np.concatenate([x, *[x[:1]] * 40]), np.append(y, [(y[0] + 1) % 10] * 40), 10, Certify(PARTS))
    flipped = y.copy()
    flipped[0] = (y[0] + 1) % 10
    assert (~same(more, ensemble())).sum() == 1
    assert (~same(CertifiedEnsemble.fit(x, flipped, 10, Certify(PARTS)), ensemble())).sum() == 1


@pytest.mark.parametrize("spread", [1, 3])
def test_a_row_reaches_as_many_models_as_its_spread(spread: int) -> None:
    x, y, _, _ = digits()
    after = CertifiedEnsemble.fit(x[1:], y[1:], 10, Certify(PARTS, spread))
    assert (~same(after, ensemble(spread))).sum() == spread
    assert (np.bincount(ensemble(spread).reach.ravel()) == spread).all()


@pytest.mark.parametrize("rule", ["plurality", "run-off"])
@pytest.mark.parametrize("spread", [1, 2])
def test_certificates_hold_when_whole_parts_are_relabelled(rule: str, spread: int) -> None:
    """Every row of r parts: far more rows than counted, but no more parts than r rows can reach."""
    x, y, tx, _ = digits()
    before = ensemble(spread, rule).predict(tx)
    parts = part_models.parts_of(part_models.prepared(x)[0], y, np.arange(len(x)), PARTS * spread, 0)
    for r in (1, 3, 6):
        codes = y.copy()
        for rows in parts[:r]:
            codes[rows] = (codes[rows] + 1) % 10
        plan = Certify(PARTS, spread, rule)  # type: ignore[arg-type]
        after = CertifiedEnsemble.fit(x, codes, 10, plan).predict(tx)
        assert (after.labels == before.labels)[before.radii >= r].all()
    assert (after.labels != before.labels).any()


@pytest.mark.parametrize("spread", [1, 2])
def test_certificates_hold_when_the_tested_rows_are_inserted_with_a_wrong_label(spread: int) -> None:
    x, y, tx, _ = digits()
    before = ensemble(spread).predict(tx)
    for row in range(3):
        r = max(1, int(before.radii[row]))
        near = np.clip(tx[row].astype(int) + np.random.default_rng(row).integers(-3, 4, (r, 8, 8)), 0, 255).astype(np.uint8)
        wrong = np.full(r, (before.labels[row] + 1) % 10)
        after = CertifiedEnsemble.fit(np.concatenate([x, near]), np.append(y, wrong), 10, Certify(PARTS, spread)).predict(tx)
        assert (after.labels == before.labels)[before.radii >= r].all()


def test_tables_are_scaled_by_each_models_own_rows() -> None:
    bunch = load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(bunch.data))
    x, y = bunch.data[order] * np.logspace(-6, 6, 30), bunch.target[order]
    made = CertifiedEnsemble.fit(x[:450], y[:450], 2, Certify(6))
    found = made.predict(x[450:])
    assert found.accuracy(y[450:]) >= 0.9
    assert found.accuracy(y[450:], 1) >= 0.8


def test_a_spoilt_model_is_outvoted() -> None:
    _, _, x, y = digits()
    made = ensemble()
    weights = made.weights.copy()
    weights[3] = np.nan
    broken = CertifiedEnsemble(
        made.plan, made.shape, made.sizes, weights, made.reach, made.cosines, made.centres, made.scales
    ).predict(x)
    before = made.predict(x)
    assert (broken.labels == before.labels)[before.radii >= 1].all()
    assert broken.accuracy(y) > 0.9
    assert np.isfinite(broken.radii).all()


def test_what_a_row_is_answered_does_not_depend_on_its_company() -> None:
    _, _, x, _ = digits()
    whole, alone = ensemble().predict(x), ensemble().predict(x[17:18])
    assert (whole.labels[17], whole.radii[17]) == (alone.labels[0], alone.radii[0])
    assert ensemble().predict(x[:0]).labels.shape == (0,)
    odd = np.full((1, 8, 8), np.nan, np.float32)
    assert ensemble().predict(odd).labels.shape == (1,)


def test_parts_without_rows_vote_for_the_first_class() -> None:
    x, y, tx, _ = digits()
    made = CertifiedEnsemble.fit(x[:30], y[:30], 10, Certify(100))
    assert (made.sizes == 0).sum() > 60
    assert made.predict(tx).votes[:, 0].min() > 60


def test_partitions_left_open_bound_the_radius() -> None:
    assert partitions._partitions(60_000) == (256, 8_800)
    assert partitions._partitions(400) == (2, 0)
    assert partitions._partitions(799) == (2, 0)
    assert partitions._partitions(803) == (4, 3)
    x, y, tx, _ = digits()
    made = CertifiedEnsemble.fit(x[:801], y[:801], 10)
    assert (made.plan.partitions, made.slack) == (4, 1)
    assert made.predict(tx).radii.max() <= 1
    with pytest.raises(BadInput, match="399 rows are too few"):
        partitions._partitions(399)


def test_saved_and_loaded_it_answers_alike(tmp_path: Path) -> None:
    _, _, x, _ = digits()
    ensemble(3).save(tmp_path / "new" / "e.safetensors")
    loaded = CertifiedEnsemble.load(tmp_path / "new" / "e.safetensors")
    assert loaded.plan == Certify(PARTS, 3)
    assert same(loaded, ensemble(3)).all()
    one, two = loaded.predict(x), ensemble(3).predict(x)
    assert one.labels.tolist() == two.labels.tolist()
    assert one.radii.tolist() == two.radii.tolist()


def test_files_that_are_no_ensembles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    ensemble().save(path)
    arrays = load_file(path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(BadInput, match="is no certified ensemble"):
        CertifiedEnsemble.load(path)
    with pytest.raises(BadInput, match="is no certified ensemble"):
        CertifiedEnsemble.load(tmp_path / "absent")
    save_file(arrays, path)
    with pytest.raises(BadInput, match="is no certified ensemble"):
        CertifiedEnsemble.load(path)
    for change, message in (
        ({"reach": arrays["reach"] + 1}, "a model that does not exist"),
        ({"sizes": arrays["sizes"][1:]}, "sizes has shape"),
        ({"more": arrays["sizes"]}, "not the arrays"),
        ({"sizes": arrays["sizes"].astype(float)}, "kind of number"),
        ({"cosines.weights": arrays["cosines.weights"][1:]}, "not those of inputs"),
    ):
        note = {"partitions": PARTS, "spread": 1, "rule": "run-off", "shape": (8, 8), "slack": None, "dropped": 0}
        ensemble_file.write(path, {**arrays, **change}, note)
        with pytest.raises(BadInput, match=message):
            CertifiedEnsemble.load(path)
    with pytest.raises(CannotWrite):
        ensemble().save(tmp_path)


@pytest.mark.parametrize(
    ("inputs", "targets", "classes", "message"),
    [
        (np.zeros((4, 2), "U1"), np.zeros(4, int), 2, "learns from pictures"),
        (np.zeros(4), np.zeros(4, int), 2, "learns from pictures"),
        (np.zeros((4, 8, 8), int), np.zeros(4, int), 2, "learns from pictures"),
        (np.zeros((0, 2)), np.zeros(0, int), 2, "learns from pictures"),
        (np.zeros((4, 2)), np.zeros(3, int), 2, "as many class codes"),
        (np.zeros((4, 2)), np.zeros(4), 2, "as many class codes"),
        (np.zeros((4, 2)), np.full(4, 2), 2, "class codes 2..2"),
        (np.full((4, 8, 8), 200.0), np.zeros(4, int), 2, "floats over 1"),
    ],
)
def test_bad_data_are_refused(inputs: np.ndarray, targets: np.ndarray, classes: int, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        CertifiedEnsemble.fit(inputs, targets, classes, Certify(2))


def test_inputs_of_another_shape_are_refused() -> None:
    with pytest.raises(BadInput, match=r"inputs of shape \(9, 9\)"):
        ensemble().predict(np.zeros((1, 9, 9), np.uint8))


@pytest.mark.parametrize(
    "plan",
    [Certify(1), Certify(0), Certify(8, 0), Certify(4, 5), Certify(4, 1, "loudest")],  # type: ignore[arg-type]
)
def test_senseless_plans_are_refused(plan: Certify) -> None:
    with pytest.raises(BadInput):
        plan.start(Run())


def test_it_is_no_hook() -> None:
    with pytest.raises(BadInput, match="CertifiedEnsemble.fit"):
        Certify().start(Run())
    assert {"ensemble", "own loop"} == Certify.traits


def test_progress_counts_models() -> None:
    x, y, _, _ = digits()
    seen: list[tuple[int, int]] = []
    CertifiedEnsemble.fit(x[:100], y[:100], 10, Certify(3), 0, lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_certified_accuracy_counts_right_answers_that_withstand() -> None:
    found = Certified(np.array([0, 1, 1]), np.array([2, 0, 1]), np.zeros((3, 2)), np.zeros(3, bool))
    assert found.curve(np.array([0, 1, 0])).tolist() == [2 / 3, 1 / 3, 1 / 3]
