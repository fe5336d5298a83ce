"""Words that differ in their endings, and parts of names."""

import pytest

from untaint.evidence.link_stems import akin


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        (["_operations_wait"], ["tp", "2m", "operation"], True),
        (["translate"], ["translated", "as"], True),
        (["policy"], ["policies"], False),
        (["harvest"], ["harvest"], True),
        (["cat"], ["cats"], False),
        (["zambia"], ["a", "terrible", "place"], False),
        (["interest"], ["international"], False),
        (["mlqp"], ["access", "granted"], False),
        ([], ["operation"], False),
        (["翻", "译"], ["翻", "译"], False),
    ],
)
def test_one_thing_or_two(asked: list[str], answered: list[str], same: bool) -> None:
    assert akin(asked, answered) is same
    assert akin(answered, asked) is same
