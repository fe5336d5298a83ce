import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from untaint.errors import BadInput
from untaint.provenance.seal import seal
from untaint.provenance.spot import Ask, Drawn, asked_spot, draw
from untaint.provenance.verify import verify

EVERYTHING = Ask(share=1.0)


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": f"text number {n} of them", "label": "ab"[n % 2]}) + "\n" for n in range(600)))
    seal(path)
    return path


def test_how_many_are_drawn() -> None:
    """The numbers in common tables: 99 % sure that less than 1 %, .1 %, .01 % were changed."""
    assert [Ask(0.99, below).draws(10**9) for below in (0.01, 0.001, 0.0001)] == [459, 4603, 46050]
    assert Ask().draws(1000) == 1000
    assert Ask(share=0.01).draws(12_345) == 124
    assert Ask(share=0.01).draws(3) == 1


@pytest.mark.parametrize(("total", "below"), [(20_000, 0.001), (500, 0.02), (3_000, 0.005)])
def test_the_stated_confidence_is_right(total: int, below: float) -> None:
    """1,000 sets, each with just the share of changed samples that is to be ruled out: in at most 1 % of them none is drawn."""
    rng = np.random.default_rng(7)
    ask = Ask(0.95, below)
    wanted, changed = ask.draws(total), math.ceil(below * total)
    missed = sum(bool((draw(total, wanted, rng) >= changed).all()) for _ in range(1000))
    spread = 3 * math.sqrt(0.05 * 0.95 * 1000)
    assert missed <= 50 + spread
    assert total < 10_000 or missed >= 50 - spread - 20  # and no more are drawn than are needed


def test_the_stated_share_holds_where_some_were_changed() -> None:
    """1,000 draws from a set with 1 % changed: the stated bound is above 1 % in at least 95 %."""
    rng = np.random.default_rng(3)
    bounds = [Drawn(500, int((draw(20_000, 500, rng) < 200).sum()), 20_000, 0.95).below for _ in range(1000)]
    assert np.mean(np.array(bounds) >= 0.01) >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 1000)
    assert np.median(bounds) < 0.025


def test_every_row_is_drawn_as_often(records: Path) -> None:
    rng = np.random.default_rng(1)
    counts = np.bincount(np.concatenate([draw(50, 10, rng) for _ in range(2000)]), minlength=50)
    assert counts.min() > 320
    assert counts.max() < 480
    assert len(np.unique(draw(50, 50, rng))) == 50


def test_untouched_records_are_as_sealed(records: Path) -> None:
    found = verify(records, tier="spot", ask=Ask(share=0.2))
    assert found.sound
    assert found.drawn is not None
    assert (found.drawn.drawn, found.drawn.changed) == (120, 0)
    assert (
        "120 of 600 sealed samples were drawn at random; 0 of them changed: with 0.99 confidence at most 3.765% of all did"
        in found.notes[0]
    )
    assert found.document()["spot"]["below"] == pytest.approx(0.03765, rel=1e-3)


def test_a_changed_record_is_named(records: Path) -> None:
    lines = records.read_text().splitlines(keepends=True)
    lines[4] = lines[4].replace('"a"', '"b"')
    records.write_text("".join(lines))
    found = verify(records, tier="spot", ask=EVERYTHING)
    assert dict(found.changes.samples) == {"label": 1}
    assert found.changes.lines() == ["1 label changed: texts.jsonl:5 a → b"]


def test_a_record_that_was_cut_out_moves_all_that_follow(records: Path) -> None:
    lines = records.read_text().splitlines(keepends=True)
    records.write_text("".join(lines[:300] + lines[301:]))
    found = verify(records, tier="spot", ask=EVERYTHING)
    assert found.drawn is not None
    assert found.drawn.changed == 300
    assert not verify(records, tier="spot", ask=Ask(share=0.05)).sound


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet", "rows.jsonl.gz"])
def test_other_formats(name: str, tmp_path: Path) -> None:
    rows = [{"text": f"text, number {n} of them", "label": "ab"[n % 2]} for n in range(100)]
    path = tmp_path / name

    def write() -> None:
        if name.endswith(".csv"):
            path.write_text("text,label\n" + "".join(f'"{row["text"]}",{row["label"]}\n' for row in rows))
        elif name.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=30)
        else:
            import gzip

            path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))

    write()
    seal(path)
    assert verify(path, tier="spot", ask=Ask(share=0.3)).sound
    rows[40]["label"] = "c"
    write()
    assert dict(verify(path, tier="spot", ask=EVERYTHING).changes.samples) == {"label": 1}


def test_files_are_drawn_and_names_are_all_compared(tmp_path: Path) -> None:
    root = tmp_path / "texts"
    for n in range(20):
        (root / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
        (root / "ab"[n % 2] / f"{n}.txt").write_text(f"text number {n}")
    seal(root)
    assert verify(root, tier="spot", ask=Ask(share=0.5)).sound
    (root / "a/4.txt").write_text("text number x")
    (root / "b/5.txt").unlink()
    (root / "new").write_text("")
    found = verify(root, tier="spot", ask=EVERYTHING)
    assert dict(found.changes.samples) == {"content": 1, "removed": 1}
    assert dict(found.changes.files) == {"added": 1}
    (root / "a/4.txt").write_text("text number xyz")
    assert verify(root, tier="spot", ask=Ask(share=0.01)).changes.files["size"] == 1


def test_a_changed_tree_or_manifest_is_told(records: Path) -> None:
    tile = next((records.parent / "texts.jsonl.untaint/tiles/0").glob("000"))
    data = bytearray(tile.read_bytes())
    data[40] ^= 1
    tile.write_bytes(bytes(data))
    with pytest.raises(BadInput, match="is not in the sealed tree"):
        verify(records, tier="spot", ask=EVERYTHING)


def test_bad_shares_are_refused(tmp_path: Path) -> None:
    assert asked_spot(None, None, None) is None
    assert asked_spot("1%", None, None) == Ask(share=0.01)
    assert asked_spot(None, None, 0.01) == Ask(below=0.01)
    for share, below in (("much", None), ("0%", None), ("200%", None), (None, 0.0), (None, 1.0), (None, math.nan)):
        with pytest.raises(BadInput, match="share"):
            asked_spot(share, None, below)
    import io
    import zipfile

    buffer = io.BytesIO()
    np.savez(buffer, x=np.arange(32 * 64).reshape(32, 8, 8).astype(np.uint8), y=np.arange(32) % 2)
    assert zipfile.is_zipfile(buffer)
    path = tmp_path / "set.npz"
    path.write_bytes(buffer.getvalue())
    assert seal(path).sealed.size == 32
    with pytest.raises(BadInput, match="cannot be read one by one"):
        verify(path, tier="spot")
