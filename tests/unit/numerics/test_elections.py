"""Elections and radii against every attack there is, on ensembles small enough to try them all."""

from itertools import combinations, permutations, product

import numpy as np
import pytest

from untaint.numerics import votes


def naive_winner(scores: np.ndarray, rule: votes.Rule) -> int:
    """One row's winner, from scores (m, k), said in words."""
    ballots = [tuple(sorted(range(len(row)), key=lambda code: (-row[code], code))) for row in scores.tolist()]
    return ranked_winner(ballots, scores.shape[1], rule)


def ranked_winner(ballots: list[tuple[int, ...]], classes: int, rule: votes.Rule) -> int:
    count = [sum(ballot[0] == code for ballot in ballots) for code in range(classes)]
    order = sorted(range(classes), key=lambda code: (-count[code], code))
    if rule == "plurality":
        return order[0]
    a, b = sorted(order[:2])
    prefer_a = sum(ballot.index(a) < ballot.index(b) for ballot in ballots)
    return a if 2 * prefer_a >= len(ballots) else b


def naive_radius(scores: np.ndarray, reach: np.ndarray, rule: votes.Rule) -> int:
    """Largest r such that no r parts, whatever their models answer, change the winner."""
    classes = scores.shape[1]
    ballots = [tuple(sorted(range(classes), key=lambda code: (-row[code], code))) for row in scores.tolist()]
    before = ranked_winner(ballots, classes, rule)
    for r in range(1, len(reach) + 1):
        for parts in combinations(range(len(reach)), r):
            touched = sorted({int(model) for part in parts for model in reach[part]})
            for answer in product(permutations(range(classes)), repeat=len(touched)):
                changed = list(ballots)
                for model, ballot in zip(touched, answer, strict=True):
                    changed[model] = ballot
                if ranked_winner(changed, classes, rule) != before:
                    return r - 1
    return len(reach) - 1


def ring(models: int, spread: int) -> np.ndarray:
    return (np.arange(models)[:, None] + np.arange(spread)[None]) % models


@pytest.mark.parametrize("rule", ["plurality", "run-off"])
@pytest.mark.parametrize(
    ("models", "classes", "spread", "cases"), [(5, 3, 1, 60), (5, 3, 2, 40), (7, 2, 1, 40), (6, 2, 2, 40), (3, 4, 1, 40)]
)
def test_no_attack_within_the_radius_changes_a_winner(
    rule: votes.Rule, models: int, classes: int, spread: int, cases: int
) -> None:
    rng = np.random.default_rng([models, classes, spread])
    scores = rng.integers(0, 4, (cases, models, classes)).astype(float)  # few values: many ties
    scores[:, :, 1] += rng.integers(0, 4, (cases, 1))  # and some clear majorities
    found = votes.elect(scores, ring(models, spread), rule)
    truth = np.array([naive_radius(row, ring(models, spread), rule) for row in scores])
    assert found.labels.tolist() == [naive_winner(row, rule) for row in scores]
    assert (found.radii <= truth).all()
    assert (found.radii == truth).mean() >= 0.9
    assert truth.max() > 0
    if rule == "plurality" and spread == 1:  # there the bound is the truth
        assert found.radii.tolist() == truth.tolist()


def test_known_elections() -> None:
    clear = np.zeros((1, 9, 3))
    clear[0, :, 2] = 1
    found = votes.elect(clear, ring(9, 1), "plurality")
    assert (found.labels.tolist(), found.votes.tolist(), found.tied.tolist()) == ([2], [[0, 0, 9]], [False])
    assert found.radii.tolist() == [4]  # 5 of 9 votes moved to class 0: 5 to 4
    # 4 models say 0 before 1, 3 say 1 before 0, 2 say 2 and prefer 1: plurality elects 0, the run-off 1
    split = np.array([[[3, 2, 1]] * 4 + [[2, 3, 1]] * 3 + [[1, 2, 3]] * 2], float)
    assert votes.elect(split, ring(9, 1), "plurality").labels.tolist() == [0]
    assert votes.elect(split, ring(9, 1), "run-off").labels.tolist() == [1]


def test_a_run_off_withstands_more_where_rivals_share_the_votes() -> None:
    """60 models say 0; 40 say one of four others and put 0 second."""
    scores = np.zeros((1, 100, 5))
    for model in range(100):
        scores[0, model, 0 if model < 60 else 1 + model % 4] = 2
        scores[0, model, 0] = max(scores[0, model, 0], 1)
    plain, run_off = (votes.elect(scores, ring(100, 1), rule).radii[0] for rule in ("plurality", "run-off"))
    assert (plain, run_off) == (25, 33)


def test_ties_are_counted_and_go_to_the_lower_number() -> None:
    scores = np.array([[[1, 0], [0, 1]], [[1, 0], [1, 0]]], float)
    for rule in ("plurality", "run-off"):
        found = votes.elect(scores, ring(2, 1), rule)
        assert found.labels.tolist() == [0, 0]
        assert found.tied.tolist() == [True, False]
        assert found.radii[0] == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_broken_model_votes_as_if_it_ranked_the_classes_by_number(value: float) -> None:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((20, 6, 3))
    broken, plain = scores.copy(), scores.copy()
    broken[:, 2, 1] = value
    plain[:, 2] = [3, 2, 1]
    for rule in ("plurality", "run-off"):
        one, two = votes.elect(broken, ring(6, 1), rule), votes.elect(plain, ring(6, 1), rule)
        assert one.labels.tolist() == two.labels.tolist()
        assert one.radii.tolist() == two.radii.tolist()
    assert not np.isfinite(broken[:, 2, 1]).any()


def test_many_classes_are_bounded_soundly() -> None:
    """More classes than rivals that are looked at in pairs: never over what all pairs give."""
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((60, 30, 12))
    scores[:, :, 4] += 1
    few = votes.elect(scores, ring(30, 1)).radii
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(votes, "_RIVALS", 11)
        all_pairs = votes.elect(scores, ring(30, 1)).radii
    assert (few <= all_pairs).all()
    assert (few == all_pairs).mean() > 0.8


def test_chunks_change_nothing_and_no_rows_are_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(2).standard_normal((11, 5, 3))
    whole = votes.elect(scores, ring(5, 2))
    monkeypatch.setattr(votes, "_CELLS", 30)
    parts = votes.elect(scores, ring(5, 2))
    assert whole.radii.tolist() == parts.radii.tolist()
    assert votes.elect(scores[:0], ring(5, 2)).labels.shape == (0,)


def test_parts_needed_is_the_fewest() -> None:
    push = np.array([[2, 0, 1, 2]])
    assert votes.parts_needed(np.array([0]), push, ring(4, 1)).tolist() == [0]
    assert votes.parts_needed(np.array([3]), push, ring(4, 1)).tolist() == [2]
    assert votes.parts_needed(np.array([9]), push, ring(4, 1)).tolist() == [4]
    assert votes.parts_needed(np.array([3]), push, ring(4, 2)).tolist() == [1]  # models 3 and 0 together
