"""The digest of a data set changes when anything an audit sees changes."""

from untaint.data.dataset import Dataset, MemoryStore, make_index

TEXTS = ["one", "two"]
COLUMNS: list[list[str | None]] = [
    ["a", "b"],
    ["ab", ""],
    ["ab", None],
    [None, "ab"],
    ["\x00", "ab"],
    ["a\x1fb", "c"],
    ["a", "b\x1fc"],
    ["1", ",1"],
]


def digest(labels: list[str | None], sources: list[str | None]) -> str:
    index = make_index(TEXTS, labels=labels, sources=sources, paths=["a", "b"])
    return Dataset(index, MemoryStore(TEXTS), "text", "memory").digest


def test_no_two_data_sets_share_a_digest() -> None:
    digests = {digest(labels, sources) for labels in COLUMNS for sources in COLUMNS}
    assert len(digests) == len(COLUMNS) ** 2
