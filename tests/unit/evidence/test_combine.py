import numpy as np
from tests.unit.evidence.groups import group

from untaint.evidence.combine import Candidate, Merged, merge
from untaint.evidence.evidence import Group, Trigger


def candidate(detector: str, found: Group) -> Candidate:
    return Candidate(detector, found, found.p_value)


def members(found: list[Merged]) -> list[list[int]]:
    return [each.members.tolist() for each in found]


def test_nothing_merges_to_nothing() -> None:
    assert merge([]) == []


def test_groups_that_share_half_of_the_smaller_are_one() -> None:
    one, two = candidate("a", group(range(10), p_value=1e-4)), candidate("b", group(range(8, 12), p_value=1e-6))
    (found,) = merge([one, two])
    assert found.members.tolist() == list(range(12))
    assert found.detectors == ("a", "b")
    assert found.p_value == 1e-6


def test_groups_that_share_less_stay_apart_strongest_first() -> None:
    one, two = candidate("a", group(range(10), p_value=1e-4)), candidate("b", group(range(9, 13), p_value=1e-6))
    assert members(merge([one, two])) == [list(range(9, 13)), list(range(10))]


def test_a_third_group_joins_two() -> None:
    apart = [candidate("a", group(range(10))), candidate("b", group(range(10, 20)))]
    (found,) = merge([*apart, candidate("c", group(range(20)))])
    assert found.members.tolist() == list(range(20))
    assert found.detectors == ("a", "b", "c")


def test_one_detector_may_propose_several_groups_of_one_size() -> None:
    several = [candidate("a", group(range(start, start + 10))) for start in (0, 100, 200)]
    found = merge([*several, candidate("b", group(range(10))), candidate("c", group(range(200, 210)))])
    assert sorted(members(found)) == [list(range(start, start + 10)) for start in (0, 100, 200)]
    assert sorted(each.detectors for each in found) == [("a",), ("a", "b"), ("a", "c")]


def test_the_order_of_candidates_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    starts = [0, 4, 40, 42, 80, 82, 84, 120]
    candidates = [candidate(f"d{place}", group(range(start, start + 10))) for place, start in enumerate(starts)]
    expected = sorted(members(merge(candidates)))
    for _ in range(20):
        assert sorted(members(merge([candidates[place] for place in rng.permutation(len(candidates))]))) == expected


def test_floods_of_one_label_are_one_whatever_they_share() -> None:
    one = candidate("a", group(range(10), "flood", target_label="cat"))
    two = candidate("a", group(range(50, 80), "flood", target_label="cat"))
    other = candidate("a", group(range(100, 120), "flood", target_label="dog"))
    found = merge([one, two, other])
    assert sorted(members(found)) == [[*range(10), *range(50, 80)], list(range(100, 120))]
    pooled = next(each for each in found if len(each.members) == 40)
    assert (pooled.kind, pooled.target_label) == ("flood", "cat")
    assert "2 clusters" in pooled.explanation


def test_label_flips_stay_apart() -> None:
    found = merge([candidate("a", group(range(10), "label-flip")), candidate("b", group(range(10)))])
    assert sorted(each.kind for each in found) == ["backdoor", "label-flip"]


def test_a_flood_that_looks_like_a_backdoor_stays_a_flood() -> None:
    (found,) = merge([candidate("a", group(range(10), p_value=1e-30)), candidate("b", group(range(10), "flood", p_value=1e-3))])
    assert found.kind == "flood"
    assert found.p_value == 1e-30


def test_the_most_concrete_trigger_is_shown() -> None:
    patch, vague = Trigger("patch", "a patch"), Trigger("direction", "a direction")
    (found,) = merge(
        [candidate("a", group(range(10), p_value=1e-30, trigger=vague)), candidate("b", group(range(10), trigger=patch))]
    )
    assert found.trigger is patch


def test_the_most_telling_detector_speaks_first_whatever_else_it_found() -> None:
    """Its second group comes last; it has spoken by then."""
    patch = Trigger("patch", "a patch")
    (found,) = merge(
        [
            candidate("a", group(range(20), p_value=1e-30, trigger=patch, explanation="A patch.")),
            candidate("b", group(range(20), p_value=1e-20, explanation="They part.")),
            candidate("a", group(range(5), p_value=1e-9, explanation="A corner of it.")),
        ]
    )
    assert found.explanation == "A patch.\nb: They part."


def test_a_grown_group_adds_members_unless_sharp_ones_hold_its_core() -> None:
    grown = candidate("b", group(range(5, 30), core=np.arange(10, 20)))
    border = merge([candidate("a", group(range(20))), grown])
    assert members(border) == [list(range(20))]
    assert border[0].detectors == ("a", "b")
    assert members(merge([candidate("a", group(range(17))), grown])) == [list(range(30))]  # seven of ten
    assert members(merge([grown])) == [list(range(5, 30))]


def test_several_sharp_groups_hold_a_core_together() -> None:
    sharp = [candidate("a", group(range(12))), candidate("b", group(range(8, 20)))]
    assert members(merge([*sharp, candidate("c", group(range(28), core=np.arange(20)))])) == [list(range(20))]
