"""What a benchmark says of an audit can be checked by hand."""

from dataclasses import replace

import numpy as np
import pytest
from tests import digit_sets

from untaint.attacks.base import Poisoned
from untaint.audit.settings import AuditSettings
from untaint.bench.detection import ablation, audited, naming, review_rates
from untaint.bench.sources import PUBLIC, collected
from untaint.bench.suite import ATTACKS, chosen, poisoned
from untaint.bench.tables import markdown, percent
from untaint.data.dataset import from_arrays
from untaint.errors import BadInput
from untaint.evidence.evidence import Evidence
from untaint.evidence.finding import Finding, Verdict

NOBODY = np.empty(0, np.int64)


def verdict(*targets: str | None, alarm: bool = True) -> Verdict:
    found = (Finding(f"F{i}", "backdoor", "high", "high", 0.0, NOBODY, (), "", "", alarm, name) for i, name in enumerate(targets))
    return Verdict("poisoned", 0.01, 0.0, tuple(found), (), "")


def truth(target: str | None, *more: str) -> Poisoned:
    none = np.zeros(2, bool)
    images = np.zeros((2, 8, 8), np.uint8)
    return Poisoned(from_arrays(images, ["a", "b"]), none, none, target=target, more=dict.fromkeys(more, lambda pixels: pixels))


def test_the_right_target_is_every_label_the_attacker_wants() -> None:
    assert naming(truth("a"), verdict("a")) == (["a"], True, [])
    assert naming(truth("a"), verdict("b", "a", None)) == (["a", "b"], True, ["b"])
    assert naming(truth("a"), verdict("a", alarm=False)) == ([], False, [])
    assert naming(truth("a", "b"), verdict("a")).right is False
    assert naming(truth("a", "b"), verdict("a", "b")).right is True
    assert naming(truth(None), verdict("b")) == (["b"], None, [])


def test_a_review_list_is_measured_by_its_ranking_and_its_rows() -> None:
    mask = np.arange(1000) < 100
    scores = np.where(np.arange(1000) < 80, 2.0, np.linspace(0, 1, 1000))  # 80 on top, 20 at the bottom of the rest
    found = review_rates(mask, Evidence(scores, "empirical", review=np.array([0, 1, 998, 999]), expected_precision=0.7))
    assert (found.listed, found.stated, found.true) == (4, 0.7, 0.5)
    assert (found.auroc, found.tpr) == pytest.approx((0.8, 0.8))
    assert np.isnan(review_rates(mask, Evidence(scores, "empirical")).true)


def test_ties_and_rows_without_a_score_win_nothing() -> None:
    mask = np.arange(1000) < 100
    tied = review_rates(mask, Evidence(np.ones(1000), "empirical"))
    assert (tied.auroc, tied.tpr) == pytest.approx((0.5, 0.005))
    unscored = np.where(mask, np.nan, 1.0)
    assert review_rates(mask, Evidence(unscored, "empirical")).auroc == 0.0


def test_leaving_out_the_only_detector_that_sees_an_attack_loses_it() -> None:
    clean = digit_sets.clean().dataset
    _, made = poisoned(chosen(("flood",))[0], clean, 0)
    done = audited(made.dataset, AuditSettings(budget="fast"))
    found = ablation(made, done)
    assert found.whole.tpr > 0.9
    assert done.flagged[made.mask].mean() == found.whole.tpr
    seeing = {name for name, rates in found.alone.items() if rates.tpr > 0.9}
    assert seeing
    assert set(found.without) == set(found.alone) == set(done.first.evidence)
    evidence = {name: each for name, each in done.first.evidence.items() if name not in seeing}
    blind = ablation(made, replace(done, first=replace(done.first, evidence=evidence)))
    assert blind.whole.tpr < 0.1
    if len(seeing) == 1:
        assert found.without[seeing.pop()].tpr < 0.1


def test_the_seed_draws_the_same_attack_again_and_other_ones_besides() -> None:
    clean = digit_sets.clean().dataset
    name = next(name for name in ATTACKS if "source-specific" in name)
    made = [poisoned(name, clean, seed) for seed in (0, 0, *range(1, 6))]
    assert made[0][0] == made[1][0]
    assert np.array_equal(made[0][1].mask, made[1][1].mask)
    assert all(each.source is not None and each.target != each.source for _, each in made)
    assert len({(each.source, each.target) for _, each in made}) > 2


def test_attacks_are_chosen_by_parts_of_their_names() -> None:
    assert chosen(()) == tuple(ATTACKS)
    assert chosen(("patch",)) == tuple(name for name in ATTACKS if "patch" in name)
    with pytest.raises(BadInput, match="no attack's name holds 'nonsense'"):
        chosen(("patch", "nonsense"))


def test_data_sets_are_named_or_given_as_paths() -> None:
    train, test = collected(["digits"])["digits"]
    assert (len(train), len(test or ())) == (1297, 500)
    with pytest.raises(BadInput, match="'elsewhere' names no data set"):
        collected(["elsewhere"])
    assert "digits" in PUBLIC


def test_a_table_has_one_line_per_row() -> None:
    assert markdown([{"a": 0.123456, "b": "x"}, {"b": 2, "a": 1}]).splitlines() == [
        "| a | b |",
        "|---|---|",
        "| 0.1235 | x |",
        "| 1 | 2 |",
    ]
    assert (percent(0.934), percent(None), percent(1.0)) == ("93.4 %", "–", "100 %")
