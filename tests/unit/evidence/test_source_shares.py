from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untaint.evidence.sources import shares


def tail(rows: int, flagged: int, size: int, hits: int) -> float:
    """P(at least `hits` of a source's `size` rows among `flagged` of `rows`), term by term."""
    return sum(comb(size, k) * comb(rows - size, flagged - k) for k in range(hits, min(size, flagged) + 1)) / comb(rows, flagged)


@given(st.lists(st.integers(-1, 3), min_size=2, max_size=30), st.data())
def test_the_test_is_exact_and_corrected_for_all_sources(drawn: list[int], data: st.DataObject) -> None:
    codes, names = np.array(drawn), ("a", "b", "c", "d")
    rows = data.draw(st.lists(st.integers(0, len(codes) - 1), min_size=1, unique=True))
    known, flagged = codes >= 0, codes[rows][codes[rows] >= 0]
    for share in shares(codes, names, np.array(rows)):
        code = names.index(share.name)
        assert (share.n, share.n_flagged) == ((codes == code).sum(), (flagged == code).sum())
        exact = tail(int(known.sum()), len(flagged), share.n, share.n_flagged)
        assert share.p_value == pytest.approx(min(1.0, 4 * exact), rel=1e-6, abs=1e-12)


def test_no_sources_no_members() -> None:
    assert shares(np.array([-1, -1]), (), np.array([0])) == ()
    assert shares(np.array([0, 0]), ("a",), np.array([], np.int64)) == ()
    assert shares(np.array([0, -1]), ("a",), np.array([1])) == ()


def test_the_most_suspicious_comes_first() -> None:
    codes = np.repeat([0, 1, 2], 100)
    found = shares(codes, ("alice", "bob", "mallory"), np.array([0, 100, 101, *range(200, 230)]))
    assert [share.name for share in found] == ["mallory", "bob", "alice"]
    assert found[0].p_value < 1e-9
    assert found[2].p_value == 1


def test_who_sends_most_of_everything_is_named_when_hardly_anybody_else_is_left() -> None:
    """Four send a flood, one of which sends half of all texts: its share of the flood is no more than that."""
    codes = np.concatenate([np.zeros(1000, int), np.repeat(np.arange(1, 21), 50)])
    flood = np.concatenate([np.arange(40), *(1000 + 50 * code + np.arange(40) for code in range(3))])
    names = tuple(f"s{code}" for code in range(21))
    assert {share.name for share in shares(codes, names, flood) if share.p_value <= 0.001} == {"s0", "s1", "s2", "s3"}
    by_chance = np.concatenate([flood[40:], np.arange(2), [1200, 1260, 1310, 1370]])
    assert {share.name for share in shares(codes, names, by_chance) if share.p_value <= 0.05} == {"s1", "s2", "s3"}


def test_very_many_sources_are_few_shares() -> None:
    codes = np.arange(100_000)
    found = shares(codes, tuple(f"user {code}" for code in codes), codes[:5000])
    assert len(found) == 50
    assert all(share.p_value == 1 for share in found)


def test_honest_sources_are_rarely_accused() -> None:
    """Members drawn without regard to the source: at least one accusation in at most 5 % of sets."""
    rng, codes, accused = np.random.default_rng(0), np.repeat(np.arange(20), 50), 0
    for _ in range(400):
        found = shares(codes, tuple("abcdefghijklmnopqrst"), rng.choice(1000, 100, replace=False))
        accused += found[0].p_value <= 0.05
    assert accused / 400 <= 0.05 + 3 * np.sqrt(0.05 / 400)
