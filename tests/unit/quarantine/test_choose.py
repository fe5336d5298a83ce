import pytest

from untaint.errors import BadInput
from untaint.quarantine.choose import choose

HELD: dict[int, dict[str, object]] = {
    3: {"id": "aaaabbbb0" + "0" * 55, "finding": "F1"},
    5: {"id": "aaaabbbb1" + "0" * 55, "finding": "F1,F2"},
    9: {"id": "aaaabbbb1" + "0" * 55, "finding": None},
    11: {"id": "deadbeef" + "0" * 56, "finding": "12345678"},
}


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (["all"], [3, 5, 9, 11]),
        (["F1"], [3, 5]),
        (["F2", "row:3"], [3, 5]),
        (["AAAABBBB1"], [5, 9]),
        (["deadbeef", "deadbeef" + "0" * 56], [11]),
        (["row:9"], [9]),
        (["12345678"], [11]),
    ],
)
def test_names(wanted: list[str], rows: list[int]) -> None:
    assert choose(wanted, HELD) == rows


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([], "no sample named"),
        (["aaaabbbb"], "names 2 different samples.*Use more digits"),
        (["aaaabbb"], "'aaaabbb' names no sample in quarantine. Near it: aaaabbbb0"),
        (["deadbeee"], "Near it: deadbeef"),
        (["row:4"], "Near it: row:3, row:5"),
        (["row:-1"], "names no sample"),
        (["row:" + "9" * 5000], "names no sample"),
        (["F3"], "Near it: F2, F1"),
        ([""], "names no sample"),
        (["\N{BLACK CLUB SUIT}"], "names no sample"),
    ],
)
def test_unknown_names_list_near_ones(wanted: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        choose(wanted, HELD)


def test_an_empty_quarantine_says_so() -> None:
    with pytest.raises(BadInput, match="quarantine is empty"):
        choose(["all"], {})
