"""`untaint.invert` and `untaint.explain`: what a person gives, what they write, what they refuse."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image as Pillow
from tests.digit_nets import CLASSES, SPEC, backdoored, poison, seen, unseen
from tests.digit_sets import PATCH, TARGET

import untaint
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput
from untaint.features.spelled import cells, names
from untaint.nets import foreign
from untaint.nets.convnet import ConvNet
from untaint.nets.subject import Reference


def data(rows: Reference, sources: list[str] | None = None) -> Dataset:
    return from_arrays(rows.inputs, [CLASSES[code] for code in rows.labels], sources=sources)


def sent() -> list[str]:
    codes = np.random.default_rng(0).integers(0, 8, len(seen().labels))
    codes[poison()] = 2
    return [f"shop-{code}" for code in codes]


def page(folder: Path) -> str:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")
    return text


def test_invert_writes_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("untaint.bench.inversion._UPDATES", 20)  # victims are not what is tested
    few = Reference(unseen().inputs[:300], unseen().labels[:300], CLASSES)
    done = untaint.invert(backdoored(), data(seen()), fresh=data(few), classes=["0", "4"], flip=0.1, out=tmp_path / "out")
    told = json.loads((tmp_path / "out" / "inversion.json").read_text())
    assert told["schema"] == "untaint.inversion/v1"
    assert [each["class"] for each in told["classes"]] == ["0", "4"]
    assert told["queries"] == 0
    assert told["recognised"] == pytest.approx(done.exposure.recognised)
    assert [each["knowledge"] for each in told["poison"]["flips"]] == ["nothing", "inversion", "data"]
    assert told["poison"]["flips"][2]["hits"] > told["poison"]["flips"][0]["hits"]
    assert page(tmp_path / "out").count("data:image/png") == 4
    assert any("flip" in said.lower() for said in told["says"])


def test_a_black_box_is_asked_and_no_more_than_it_may(tmp_path: Path) -> None:
    done = untaint.invert(backdoored(), data(seen()), classes=["0"], black_box=True, queries=600, decimals=2)
    assert 0 < done.recovered.queries <= 600
    assert str(done.outlet) == "rounded to 2 decimals"
    with pytest.raises(BadInput, match="too few for 10 classes"):
        untaint.invert(backdoored(), data(seen()), black_box=True, queries=100)


def test_what_cannot_be_inverted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'x' is no class"):
        untaint.invert(backdoored(), data(seen()), classes=["x"])
    with pytest.raises(BadInput, match="10 classes apart, the data 2"):
        untaint.invert(backdoored(), data(Reference(seen().inputs, seen().labels % 2, CLASSES)))
    with pytest.raises(BadInput, match="no such model"):
        untaint.invert(tmp_path / "nothing", data(seen()))
    with pytest.raises(BadInput, match="--fresh"):
        untaint.invert(backdoored(), data(seen()), classes=["0"], flip=0.1)
    texts = from_arrays(["good", "bad"] * 10, ["a", "b"] * 10)
    with pytest.raises(BadInput, match="only models of pictures and of tables|refuses inputs"):
        untaint.invert(lambda given: np.zeros((len(given), 2)), texts)


def test_explain_a_picture_from_a_file(tmp_path: Path) -> None:
    image = unseen().inputs[unseen().labels == 0][0, :, :, 0].copy()
    image[-4:, -4:] = PATCH
    Pillow.fromarray(image).save(tmp_path / "odd.png")
    foreign.save(backdoored(), tmp_path / "net.safetensors")
    given = data(seen(), sent())
    found = untaint.explain(tmp_path / "net.safetensors", given, input=tmp_path / "odd.png", out=tmp_path / "out")
    told = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert told["schema"] == "untaint.explain/v1"
    assert told["answer"] == found.label == str(TARGET)
    assert told["accused"] == ["shop-2"]
    assert told["region"]["trigger"] is True
    assert len(told["rows"]) == 20
    assert {row["source"] for row in told["rows"]} >= {"shop-2"}
    assert "shop-2" in page(tmp_path / "out")


def test_explain_a_row_by_its_number_in_the_data() -> None:
    labels: list[str | None] = [CLASSES[code] for code in seen().labels[:200]]
    labels[0] = None
    found = untaint.explain(backdoored(), from_arrays(seen().inputs[:200], labels), row=7)
    assert found.label in CLASSES
    with pytest.raises(BadInput, match="row 0 is not among"):
        untaint.explain(backdoored(), from_arrays(seen().inputs[:200], labels), row=0)


@pytest.mark.parametrize("asked", [{}, {"row": 3, "input": "x.png"}])
def test_one_input_at_a_time(asked: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="one input is explained"):
        untaint.explain(backdoored(), data(seen()), **asked)  # type: ignore[arg-type]


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read"):
        untaint.explain(backdoored(), data(seen()), input=tmp_path / "none.png")
    (tmp_path / "odd.png").write_bytes(b"no picture")
    with pytest.raises(BadInput):
        untaint.explain(backdoored(), data(seen()), input=tmp_path / "odd.png")


def test_explain_a_change_of_house_networks(tmp_path: Path) -> None:
    foreign.save(ConvNet(SPEC), tmp_path / "old.safetensors")
    foreign.save(backdoored(), tmp_path / "new.safetensors")
    found = untaint.explain_change(
        tmp_path / "new.safetensors", tmp_path / "old.safetensors", data(seen(), sent()), out=tmp_path / "out"
    )
    told = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert told["tensors"] == list(found.tensors)
    assert len(told["rows"]) == 20
    assert all(row["source"].startswith("shop-") for row in told["rows"])
    assert "What moved" in page(tmp_path / "out")
    with pytest.raises(BadInput, match="no gradients"):
        untaint.explain_change(lambda rows: rows, backdoored(), data(seen()))


def test_a_model_of_a_table_end_to_end(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, colour = rng.normal(50, 10, 400), rng.choice(["red", "blue"], 400)
    label = np.where(x + 15 * (colour == "red") > 57, "yes", "no")
    pq.write_table(pa.table({"x": x, "colour": colour, "label": label}), tmp_path / "rows.parquet")
    untaint.train(tmp_path / "rows.parquet", recipe="plain", out=tmp_path / "model")
    done = untaint.invert(
        tmp_path / "model", tmp_path / "rows.parquet", fresh=tmp_path / "rows.parquet", out=tmp_path / "inverted"
    )
    assert done.exposure.recognised == 1
    told = json.loads((tmp_path / "inverted" / "inversion.json").read_text())
    assert set(told["classes"][0]["inverted"]["cells"]) == {"x", "colour"}
    found = untaint.explain(tmp_path / "model", tmp_path / "rows.parquet", row=0, out=tmp_path / "why")
    assert found.label in {"yes", "no"}
    assert json.loads((tmp_path / "why" / "explain.json").read_text())["region"]["columns"]


def test_inputs_as_cells() -> None:
    from untaint.features.inputs import Encoding

    columns = [
        {"name": "x", "middle": 50.0, "spread": 10.0, "gaps": True},
        {"name": "colour", "words": ["red", "blue"]},
        {"name": "shop", "hashed": 2},
    ]
    encoding = Encoding("table", (6,), ("a", "b"), {"columns": columns})
    assert names(encoding) == ["x", "x missing", "colour: red", "colour: blue", "shop: word 0", "shop: word 1"]
    assert cells(encoding, np.array([1.5, 0, 0.2, 0.9, 1, 0])) == {"x": "65", "colour": "blue", "shop": "word 0"}
    assert cells(Encoding("image", (2, 2, 1), ("a", "b"), {}), np.zeros(4)) == {}
