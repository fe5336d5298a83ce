import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from untaint.errors import BadInput
from untaint.provenance.merkle import root_of
from untaint.provenance.on_read import Checker, NotSealed
from untaint.provenance.seal import seal
from untaint.provenance.sealed import Seal
from untaint.provenance.wrapped import batches, checked, checked_as_sealed

ROWS: list[dict[str, Any]] = [{"text": f"text number {n} of them", "label": "ab"[n % 2]} for n in range(40)]


@pytest.fixture
def sealed(tmp_path: Path) -> Seal:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return seal(path)


def test_reading_everything_gives_the_sealed_root(sealed: Seal) -> None:
    checker = Checker(sealed)
    found = checked(ROWS, checker, payload="text", label="label")
    order = np.random.default_rng(0).permutation(40)
    assert [found[int(row)] for row in order] == [ROWS[row] for row in order]
    assert [found[int(row)] for row in order[:7]]  # a second epoch changes nothing
    assert len(found) == 40
    consumed = checker.consumed()
    assert consumed.complete
    assert consumed.root == sealed.sealed.root


def test_what_was_read_has_a_root_of_its_own(sealed: Seal) -> None:
    checker = Checker(sealed)
    found = checked(ROWS, checker, payload="text")
    assert [found[row]["label"] for row in (9, 3, 20)] == ["b", "b", "a"]
    consumed = checker.consumed()
    assert (consumed.rows, consumed.total, consumed.complete) == (3, 40, False)
    assert consumed.root == root_of([sealed.tiles.leaf(row) for row in (3, 9, 20)]).hex()


def test_another_content_or_label_stops_training(sealed: Seal) -> None:
    poisoned = [*ROWS[:5], ROWS[5] | {"text": "bought"}, ROWS[6] | {"label": "b"}]
    found = checked(poisoned, Checker(sealed), payload="text", label="label")
    assert found[4] == ROWS[4]
    with pytest.raises(NotSealed, match="its content is not among the sealed samples"):
        found[5]
    with pytest.raises(NotSealed, match="its label is 'b', and it was sealed with another one \\(row 6"):
        found[6]
    assert checked(poisoned, Checker(sealed), payload="text")[6] == poisoned[6]  # labels were not to be checked


def test_wrong_samples_can_be_noted(sealed: Seal) -> None:
    checker = Checker(sealed, wrong="note")
    assert (
        len(
            list(batches([{"text": ["text number 0 of them", "x"], "label": ["a", "a"]}], checker, payload="text", label="label"))
        )
        == 1
    )
    assert checker.wrong == ["its content is not among the sealed samples"]
    assert checker.consumed().rows == 1


def test_equal_samples_are_read_one_after_another(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    rows = [{"text": "the same text again", "label": label} for label in "aab"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    checker = Checker(seal(path))
    assert [checker.check("the same text again", label=label) for label in "abaa"] == [0, 2, 1, 0]
    assert checker.consumed().complete


def test_a_copy_in_another_process_marks_in_the_same_place(sealed: Seal, tmp_path: Path) -> None:
    checker = Checker(sealed, folder=tmp_path / "index")
    copy = pickle.loads(pickle.dumps(checker))
    copy.check(ROWS[7]["text"])
    checker.check(ROWS[8]["text"])
    assert checker.consumed().rows == copy.consumed().rows == 2
    again = Checker(sealed, folder=tmp_path / "index")
    assert again.consumed().rows == 2


def test_torch_reads_in_worker_processes(sealed: Seal) -> None:
    torch = pytest.importorskip("torch.utils.data")
    checker = Checker(sealed)
    found = checked([(row["text"], "ab".index(row["label"])) for row in ROWS], checker, label=1, names=["a", "b"])
    read = [text for texts, _ in torch.DataLoader(found, batch_size=8, shuffle=True, num_workers=2) for text in texts]
    assert sorted(read) == sorted(row["text"] for row in ROWS)
    assert checker.consumed().root == sealed.sealed.root


def test_hugging_face_data_sets(sealed: Seal) -> None:
    datasets = pytest.importorskip("datasets")
    checker = Checker(sealed)
    found = checked(datasets.Dataset.from_list(ROWS), checker, payload="text", label="label")
    assert found.column_names == ["text", "label"]
    assert found[3] == ROWS[3]
    assert found[10:12]["label"] == ["a", "b"]
    for batch in batches(datasets.Dataset.from_list(ROWS).iter(batch_size=16), checker, payload="text", label="label"):
        assert len(batch["text"]) in {16, 8}
    assert checker.consumed().complete


def test_pictures_by_their_bytes(tmp_path: Path) -> None:
    root = tmp_path / "pictures"
    for n in range(4):
        (root / "ab"[n % 2]).mkdir(parents=True, exist_ok=True)
        (root / "ab"[n % 2] / f"{n}.png").write_bytes(b"\x89PNG" + bytes([n]))
    checker = Checker(seal(root))
    assert checker.check({"bytes": b"\x89PNG\x02", "path": None}, label="a") == 1
    assert checker.check(b"\x89PNG\x01") == 2
    with pytest.raises(NotSealed):
        checker.check(np.zeros((2, 2)))
    with pytest.raises(BadInput, match="a list was read, which cannot be compared"):
        checker.check([1, 2])
    with pytest.raises(BadInput, match="an item has no 'picture'"):
        checked([{"image": b""}], checker, payload="picture")[0]


def test_an_edited_manifest_is_refused(sealed: Seal) -> None:
    part = sealed.folder / "manifest/part-00000.parquet"
    part.write_bytes(part.read_bytes() + b"x")
    with pytest.raises(BadInput, match="is not the manifest that was sealed"):
        Checker(sealed)


FROM: list[dict[str, Any]] = [
    row | {"source": f"s{n % 3}" if n % 5 else None, "split": "train" if n < 30 else "test"} for n, row in enumerate(ROWS)
]


@pytest.fixture
def sourced(tmp_path: Path) -> Seal:
    path = tmp_path / "from.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in FROM))
    return seal(path)


def test_source_and_split_are_checked_where_they_are_asked_for(sourced: Seal) -> None:
    checker = Checker(sourced)
    found = checked(FROM, checker, payload="text", label="label", source="source", split="split")
    assert [found[row] for row in range(40)] == FROM
    assert checker.consumed().root == sourced.sealed.root
    moved = [FROM[0] | {"source": "forum"}, FROM[35] | {"split": "train"}, FROM[7] | {"source": None}]
    with pytest.raises(NotSealed, match="its source is 'forum', and it was sealed with another one \\(row 0"):
        checked(moved, checker, payload="text", source="source")[0]
    with pytest.raises(NotSealed, match="its split is 'train', and it was sealed with another one \\(row 35"):
        checked(moved, checker, payload="text", split="split")[1]
    with pytest.raises(NotSealed, match="its source is None"):
        checked(moved, checker, payload="text", source="source")[2]
    assert checked(moved, checker, payload="text", label="label")[0] == moved[0]  # sources were not to be checked
    noting = Checker(sourced, wrong="note")
    columns = {name: [row[name] for row in (*moved, *FROM[10:12])] for name in FROM[0]}
    assert len(list(batches([columns], noting, payload="text", source="source", split="split"))) == 1
    assert len(noting.wrong) == 3
    assert noting.consumed().rows == 2
    with pytest.raises(BadInput, match="a batch has 5 of payload, 4 of source"):
        list(batches([columns | {"source": columns["source"][1:]}], noting, payload="text", source="source"))


def test_records_are_checked_as_they_were_sealed(sourced: Seal, tmp_path: Path) -> None:
    checker = Checker(sourced)
    found = pickle.loads(pickle.dumps(checked_as_sealed(FROM, checker)))
    assert [found[row] for row in range(40)] == FROM
    assert checker.consumed().complete
    for change in ({"text": "x"}, {"label": "c"}, {"source": "x"}, {"split": "x"}):
        with pytest.raises(NotSealed):
            checked_as_sealed([FROM[3] | change], checker)[0]
    with pytest.raises(BadInput, match="an item has no 'source'"):
        checked_as_sealed([ROWS[3]], checker)[0]
    (tmp_path / "some" / "a").mkdir(parents=True)
    (tmp_path / "some/a/1.png").write_bytes(b"x")
    with pytest.raises(BadInput, match="does not say which part of an item is the payload"):
        checked_as_sealed(FROM, Checker(seal(tmp_path / "some")))


def test_class_names_of_hugging_face(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    made = datasets.Dataset.from_list([row | {"label": n % 2} for n, row in enumerate(ROWS)], features=features)
    made.to_parquet(tmp_path / "set.parquet")
    checker = Checker(seal(tmp_path / "set.parquet"))
    found = checked_as_sealed(made, checker)
    assert len(found[5:40]["text"]) == 35
    assert [found[row]["label"] for row in range(5)] == [0, 1, 0, 1, 0]
    assert checker.consumed().root == checker.seal.sealed.root
