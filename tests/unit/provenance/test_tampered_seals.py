"""Somebody who may write to the folder of a seal: what is found without a signature, and what only a signature shows."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from untaint.errors import BadInput
from untaint.provenance import keys, policy, sign
from untaint.provenance.manifest import Part, sha256_of
from untaint.provenance.seal import seal
from untaint.provenance.sealed import Seal, read_seal
from untaint.provenance.spot import Ask
from untaint.provenance.verify import verify

ALICE = keys.generate("p256")
ROWS: list[dict[str, object]] = [
    {"text": f"text number {n} of them", "label": "ab"[n % 2], "url": f"https://a.org/{n}"} for n in range(600)
]
SOURCES = 'schema = "untaint.sources/v1"\ndefault = "house"\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    folder = tmp_path / "set.jsonl.untaint"
    folder.mkdir()
    (folder / "sources.toml").write_text(SOURCES)
    sign.sign_seal(seal(path), [ALICE], now=datetime.now(UTC))
    return path


def signed(found: Seal) -> tuple[str, ...]:
    return sign.verify_seal(found, policy.of_key(ALICE.public, "alice"), now=datetime.now(UTC)).decision.problems


def folder_of(data: Path) -> Path:
    return data.with_name("set.jsonl.untaint")


def edit_manifest(folder: Path, column: str = "label") -> None:
    path = folder / "manifest/part-00000.parquet"
    table = pq.read_table(path)
    values = table.column(column).to_pylist()
    values[5] = "edited"
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type)), path)


def rehash(folder: Path) -> None:
    """Make the statement fit the manifest."""
    sealed = read_seal(folder).sealed
    parts = (Part(sealed.size, sha256_of(folder / "manifest/part-00000.parquet")),)
    (folder / "statement.json").write_bytes(replace(sealed, parts=parts).statement())


def test_nothing_is_found_where_nothing_changed(data: Path) -> None:
    assert verify(data).sound
    assert signed(read_seal(folder_of(data))) == ()


def test_an_edited_manifest(data: Path) -> None:
    edit_manifest(folder_of(data))
    with pytest.raises(BadInput, match="part-00000.parquet is not the manifest that was sealed"):
        verify(data)


@pytest.mark.parametrize("column", ["label", "source", "url"])
def test_an_edited_manifest_and_a_statement_that_fits_it(column: str, data: Path) -> None:
    """Rows no longer make the leaves of the tree, which is found without a signature; who signed is asked all the same."""
    edit_manifest(folder_of(data), column)
    rehash(folder_of(data))
    with pytest.raises(BadInput, match="part-00000.parquet has other rows than its root was made of"):
        verify(data)
    assert signed(read_seal(folder_of(data))) == ("statement.json is not the seal that was signed",)


def test_changed_data_that_were_sealed_anew(data: Path) -> None:
    """All fits; only the signature, or a root that was kept elsewhere, shows it."""
    before = read_seal(folder_of(data)).sealed.root
    data.write_text(data.read_text().replace('"label": "a"', '"label": "b"', 1))
    sign_files = {name: (folder_of(data) / name).read_bytes() for name in ("envelope.json",)}
    made = seal(data, replace=True)
    for name, content in sign_files.items():
        (made.folder / name).write_bytes(content)
    found = verify(data)
    assert found.sound
    assert found.root != before
    assert signed(made) == ("statement.json is not the seal that was signed", "the log has no entry for this seal")[:1]


def swap(one: Path, other: Path) -> None:
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tiles: swap(tiles / "0/000", tiles / "0/001"), "is not the one that was sealed"),
        (lambda tiles: (tiles / "0/001").write_bytes((tiles / "0/001").read_bytes()[:-32]), "bytes, not 8,192"),
        (lambda tiles: (tiles / "0/000").unlink(), "is missing"),
        (lambda tiles: (tiles / "1/000.p/2").write_bytes(bytes(64)), "is not the one that was sealed"),
    ],
)
def test_tiles_that_were_reordered_cut_or_edited(change: Callable[[Path], object], message: str, data: Path) -> None:
    change(folder_of(data) / "tiles")
    with pytest.raises(BadInput, match=message):
        verify(data)
    with pytest.raises(BadInput):
        verify(data, tier="spot", ask=Ask(share=1.0))


def test_sources_that_were_edited(data: Path) -> None:
    (folder_of(data) / "sources.toml").write_text(SOURCES.replace("house", "friends"))
    found = verify(data)
    assert dict(found.changes.samples) == {"source": 600}
    assert found.changes.lines()[0].startswith("600 samples now claimed from another source: set.jsonl:1 house → friends")
    assert found.notes == ("sources.toml was edited since the data were sealed",)
    (folder_of(data) / "sources.toml").write_text(SOURCES + "# vetted by nobody\n")
    assert not verify(data).changes.samples
    assert verify(data).notes == ("sources.toml was edited since the data were sealed",)


def test_a_log_that_was_cut_back(data: Path, tmp_path: Path) -> None:
    """To what it was before the set was sealed again; the log that was kept elsewhere follows from no entry of it."""
    folder = folder_of(data)
    older = shutil.copytree(folder / "log", tmp_path / "older")
    data.write_text(data.read_text().replace("number 7 ", "number seven "))
    made = seal(data, replace=True)
    sign.sign_seal(made, [ALICE], now=datetime.now(UTC))
    assert signed(made) == ()
    shutil.rmtree(folder / "log")
    shutil.copytree(older, folder / "log")
    assert signed(made) == ("the log has no entry for this seal",)
    entries = next(path for path in (folder / "log/tile/entries").rglob("*") if path.is_file())
    entries.write_bytes(entries.read_bytes()[:-1])
    (problem,) = signed(made)
    assert "was cut short, or grew" in problem


def test_a_byte_of_the_table_of_files_or_a_digit_of_the_root(data: Path) -> None:
    path = folder_of(data) / "files.parquet"
    content = path.read_bytes()
    path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
    with pytest.raises(BadInput, match="is not the table that was sealed"):
        verify(data)
    path.write_bytes(content)
    statement, root = folder_of(data) / "statement.json", read_seal(folder_of(data)).sealed.root
    statement.write_text(statement.read_text().replace(root, root[::-1]))
    with pytest.raises(BadInput, match="the tree in .* is not the one that was sealed"):
        verify(data)


def test_pins_that_were_edited(data: Path) -> None:
    """Another column is said to be the label: every sample is read otherwise, and the signature tells why."""
    folder = folder_of(data)
    text = (folder / "statement.json").read_text()
    assert '"label":"label"' in text
    (folder / "statement.json").write_text(text.replace('"label":"label"', '"label":"url"'))
    assert verify(data).changes.samples["label"] == 600
    assert signed(read_seal(folder)) == ("statement.json is not the seal that was signed",)
