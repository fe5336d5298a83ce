"""From a data set to a certified ensemble: still no row has a say in what becomes of another."""

from pathlib import Path

import numpy as np
import pytest

from untaint import api
from untaint.data.dataset import Dataset, from_arrays
from untaint.features.inputs import encoded, inputs_of
from untaint.training.compose import recipe
from untaint.training.engines import part_models
from untaint.training.engines.fit import Plan
from untaint.training.engines.partitions import CertifiedEnsemble
from untaint.training.engines.train import Asked, train
from untaint.training.engines.trained import Elected

PARTS = 6


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_models, "_FEATURES", 64)


def _quiet(_what: str, _done: int, _total: int) -> None:
    return


def table(path: Path, more: tuple[str, ...] = ()) -> Dataset:
    """Numbers with gaps, words, and a rule; and rows that somebody put at its front."""
    rng = np.random.default_rng(0)
    amount, age, kind = rng.lognormal(3, 1, 400), rng.integers(18, 90, 400), rng.choice(list("abcd"), 400)
    label = np.where((amount > 20) & np.isin(kind, ["a", "b"]), "fraud", "fine")
    lines = [f"{a:.2f},{b},{c},{d}" for a, b, c, d in zip(amount, age, kind, label, strict=True)]
    lines[7] = ",40,,fine"
    path.write_text("\n".join(["amount,age,kind,label", *more, *lines]) + "\n")
    return api.load(path, label="label")


def images(more: int = 0) -> Dataset:
    """Grey pictures of two kinds, and up to ten more in front of them."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, 310)
    pixels = rng.integers(0, 80, (310, 12, 12)).astype(np.uint8)
    pixels[codes == 0, 3:6] += 150
    pixels[codes == 1, :, 3:6] += 150
    start = 10 - more
    return from_arrays(pixels[start:], [f"kind {code}" for code in codes[start:]])


def ensemble(data: Dataset) -> CertifiedEnsemble:
    model, record = train(Asked(data, recipe(f"certify(partitions={PARTS})"), Plan(held_out=0.2)), _quiet)
    assert isinstance(model, Elected)
    assert record.tested is not None
    assert record.tested.accuracy > 0.8
    return model.ensemble


def changed(one: CertifiedEnsemble, two: CertifiedEnsemble) -> int:
    return sum(a.tobytes() != b.tobytes() for a, b in zip(one.weights, two.weights, strict=True))


@pytest.mark.parametrize(
    "row", ["1e30,40,a,fraud", "nan,40,a,fine", ",,,fraud", "3,50,never seen,fine", "inf,inf,b,fraud", "-1,1,d,"]
)
def test_a_row_more_in_a_table_changes_one_model_at_most(row: str, tmp_path: Path) -> None:
    before = ensemble(table(tmp_path / "a.csv"))
    after = ensemble(table(tmp_path / "b.csv", (row,)))
    assert changed(before, after) <= 1
    twice = ensemble(table(tmp_path / "b.csv", (row, row)))
    assert changed(before, twice) <= 1


def test_pictures_more_change_as_many_models_at_most() -> None:
    before = ensemble(images())
    assert before.sizes.sum() < 260
    for more in (1, 2):
        after = ensemble(images(more))
        assert changed(before, after) <= more


def test_cells_become_numbers_one_by_one_and_so_again(tmp_path: Path) -> None:
    data = table(tmp_path / "a.csv")
    found, more = (inputs_of(each, _quiet, each=True) for each in (data, table(tmp_path / "b.csv", ("1e30,9,zz,fine",) * 9)))
    np.testing.assert_array_equal(found.values, more.values[9:])
    np.testing.assert_array_equal(encoded(data, found.encoding, _quiet).values, found.values)
    assert found.values.shape == (400, 2 + 2 + 16)
    assert found.values[7, 4:].sum() == 0  # no word there
    assert set(found.values[:7, 4:].sum(axis=1)) == {1}


def test_rows_are_held_out_by_what_they_hold() -> None:
    values = np.random.default_rng(0).integers(0, 256, (2000, 6, 6)).astype(np.uint8)
    out = part_models.held_out(values, 0.25, 3)
    assert 0.2 < out.mean() < 0.3
    np.testing.assert_array_equal(part_models.held_out(values[::-1], 0.25, 3)[::-1], out)
    assert part_models.held_out(values[5:6], 0.25, 3)[0] == out[5]
    assert not part_models.held_out(values, 0.0, 3).any()
    assert part_models.held_out(values, 1.0, 3).all()
    assert (part_models.held_out(values, 0.25, 4) != out).any()


def test_what_is_presumed_is_on_record(tmp_path: Path) -> None:
    done = api.train(images(), recipe=f"certify(partitions={PARTS})", out=tmp_path / "m")
    assert "Certificates presume" in (tmp_path / "m" / "report.html").read_text() or "Certificates presume" in str(done.record)
