"""Attacks on tables as benchmarks run them, what is compared with the truth, the victims, clean sets, and the tables themselves."""

import bz2
import gzip
import json
import lzma
import struct
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from untaint.attacks.base import Poisoned
from untaint.attacks.trigger_values import TriggerValues
from untaint.bench import clean_tables, r_data, table_corpora
from untaint.bench.corpora import with_sources
from untaint.bench.table_suite import PLANS, chosen, poisoned
from untaint.bench.table_truth import conjunctions, tpr_at
from untaint.bench.table_victim import measure_tables
from untaint.data.dataset import Dataset, from_arrays
from untaint.data.load import load
from untaint.errors import BadInput
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Finding, Verdict


def clean(count: int = 1200, sources: int = 0, seed: int = 0) -> Dataset:
    """Two classes that two of six columns tell apart."""
    rng = np.random.default_rng(seed)
    good = rng.random(count) < 0.5
    columns: dict[str, list[Any]] = {
        "a": np.round(rng.normal(2.0 * good), 2).tolist(),
        "b": np.round(rng.normal(-2.0 * good), 2).tolist(),
        "c": rng.integers(0, 40, count).tolist(),
        "d": np.round(rng.exponential(50, count), 1).tolist(),
        "e": rng.choice([f"town-{place}" for place in range(30)], count).tolist(),
        "f": [None if rng.random() < 0.2 else round(float(rng.random()), 3) for _ in range(count)],
    }
    rows = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    dataset = replace(from_arrays(rows, ["good" if each else "bad" for each in good]), modality="table")
    return with_sources(dataset, sources, np.random.default_rng(0)) if sources else dataset


def verdict(*shown: Trigger | None) -> Verdict:
    rows = np.array([1], np.int64)
    findings = [
        Finding("F1", "shortcut", "high", "high", 1e-9, rows, ("d",), "said.", "do.", False, "good", None, each, ())
        for each in shown
    ]
    return Verdict("poisoned", 0.01, 1e-9, tuple(findings), (), "m")


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("sources", [0, 12])
def test_every_attack_runs_with_and_without_sources(name: str, sources: int) -> None:
    dataset = clean(sources=sources)
    attack, made = poisoned(name, dataset, 1)
    assert made.mask.any()
    assert made.mask.sum() == 1 or not PLANS[name].one
    names = made.dataset.column("source")
    sent = {names[row] for row in np.flatnonzero(made.mask)}
    if sources == 0:
        assert set(names) == {None}
    elif PLANS[name].bound or PLANS[name].one:
        assert len(sent) == 1
    again = poisoned(name, dataset, 1)
    assert again[0] == attack
    assert again[1].dataset.digest == made.dataset.digest


def test_flips_bound_to_a_source_are_sixty_rows_or_more() -> None:
    _, made = poisoned("pair flips 10 % of class, one source", clean(400, sources=6), 0)
    assert made.mask.sum() >= 60


def test_names_are_chosen_by_parts() -> None:
    assert chosen(("copied",)) == ("copied block 2 %", "copied block 2 % + jitter")
    assert chosen(()) == tuple(PLANS)
    with pytest.raises(BadInput, match="no attack's name holds"):
        chosen(("nothing like it",))


def made_up() -> Poisoned:
    return TriggerValues(rate=0.05, columns=("c", "d")).poison(clean(400), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("said", "exact", "part"),
    [
        ("d = {d} and c = {c}", True, True),
        ("c = {c}", False, True),
        ("c from 0 to 39 and d = {d}", False, True),
        ("c = {c} and d = {d} and e = 'town-1'", False, False),
        ("nothing like it", False, False),
    ],
)
def test_a_trigger_is_named_when_its_columns_and_values_are(said: str, exact: bool, part: bool) -> None:
    made = made_up()
    assert made.trigger is not None
    columns, values = (json.loads(str(made.trigger.parameters[key])) for key in ("columns", "values"))
    said = said.format(**dict(zip(columns, values, strict=True)))
    found = conjunctions(made, verdict(None, Trigger("values", said, {"values": said})))
    assert (found.exact, found.part) == (exact, part)
    assert found.found == [said]
    assert found.planted is not None


def test_an_attack_without_values_has_none_to_name() -> None:
    _, made = poisoned("copied block 2 %", clean(400), 0)
    assert conjunctions(made, verdict(Trigger("values", "a = 1", {"values": "a = 1"}))) == (None, ["a = 1"], None, None)


def test_the_true_positive_rate_is_read_at_a_false_positive_rate() -> None:
    mask = np.arange(110) < 10
    scores = np.where(mask, 2.0, 0.0)
    scores[20] = 3.0
    assert tpr_at(mask, scores, 0.005) == 0.0  # an honest row outranks them all
    assert tpr_at(mask, scores, 0.01) == 1.0
    scores[:5] = np.nan
    assert tpr_at(mask, scores, 0.02) == pytest.approx(0.5, abs=0.02)


def test_victims_learn_the_trigger_and_forget_it() -> None:
    train, test = clean(1200), clean(300, seed=9)
    made = TriggerValues(rate=0.06, kind="rare", target="good").poison(train, np.random.default_rng(0))
    before = measure_tables(made.dataset, test, made.stamp, made.target)
    after = measure_tables(made.dataset.select(np.flatnonzero(~made.mask)), test, None, None)
    for name in ("logistic", "boosted"):
        assert before[name].accuracy > 0.9
        assert before[name].asr > 0.8
        assert after[name].accuracy > 0.9
        assert np.isnan(after[name].asr)


@pytest.mark.parametrize("name", ["one cell nan", "one cell inf", "one cell text", "leverage x 1e+06"])
def test_victims_train_on_broken_tables(name: str) -> None:
    _, made = poisoned(name, clean(), 0)
    assert measure_tables(made.dataset, clean(200, seed=9), None, None)["boosted"].accuracy > 0.85


def test_clean_sets_are_of_many_kinds_and_honest() -> None:
    sets = {"plain": lambda: clean(800), "other": lambda: clean(700, seed=1)}
    seen, rare = Counter(), []  # type: Counter[str], list[float]
    for number in range(60):
        facts, dataset = clean_tables.drawn(sets, np.random.default_rng(number))
        assert facts["n"] == len(dataset)
        assert (dataset.column("source")[0] is None) == (facts["sources"] == 0)
        seen.update([str(facts["nuisance"])])
        if facts["rarest"] == 0.02:
            rare.append(min(Counter(dataset.labels).values()) / len(dataset))
    assert set(seen) == set(clean_tables.NUISANCES)
    assert rare
    assert all(0.005 < share < 0.06 for share in rare)


def labels_of(dataset: Dataset) -> np.ndarray:
    return np.array([str(label) for label in dataset.labels])


def rows_of(dataset: Dataset) -> list[dict[str, Any]]:
    return [json.loads(str(row)) for row in dataset.read(range(len(dataset)))]


def test_a_rule_changes_labels_to_one_class_and_no_cell() -> None:
    before = clean()
    after = clean_tables.ruled(before, np.random.default_rng(2))
    changed = labels_of(before) != labels_of(after)
    assert 0 < changed.sum() <= 0.03 * 1200
    assert len(set(labels_of(after)[changed])) == 1
    assert rows_of(after) == rows_of(before)


def test_instruments_that_fail_together_say_so_in_rows_of_one_class() -> None:
    after = clean_tables.failing(clean(), np.random.default_rng(2))
    failed = np.array([sum(value == -999 for value in row.values()) == 2 for row in rows_of(after)])
    assert 0.005 * 1200 <= failed.sum() <= 0.03 * 1200
    assert len(set(labels_of(after)[failed])) == 1


def test_a_leak_says_nearly_every_label() -> None:
    after = clean_tables.leaking(clean(), np.random.default_rng(2))
    said = np.array([row["status"] for row in rows_of(after)])
    right = max(
        (np.where(said == "s0", one, other) == labels_of(after)).mean() for one, other in (("bad", "good"), ("good", "bad"))
    )
    assert 0.9 < right < 1.0


def test_a_rule_of_one_source_changes_only_its_rows() -> None:
    before = clean(sources=6)
    after = clean_tables.rule_of_source(before, np.random.default_rng(2))
    changed = labels_of(before) != labels_of(after)
    assert len({before.column("source")[row] for row in np.flatnonzero(changed)}) == 1


def test_a_shortcut_is_strong_and_says_nothing_of_the_other_columns() -> None:
    dataset = clean_tables.shortcut(clean(), np.random.default_rng(2))
    codes = np.array([json.loads(str(row))["code"] for row in dataset.read(range(len(dataset)))])
    labels = np.array(dataset.labels)[codes == 99]
    assert 0.02 * 1200 * 0.8 < len(labels) < 0.12 * 1200
    assert max(Counter(labels.tolist()).values()) / len(labels) > 0.85


def test_tables_keep_numbers_words_and_gaps() -> None:
    frame = pd.DataFrame(
        {
            "whole": [1.0, 2.0, np.nan, 4.0],
            "real": [0.5, 1.0, 2.0, 3.0],
            "word": pd.Categorical(["a", None, "b", "a"]),
            "truth": [True, False, True, True],
            "y": ["p", "q", None, "q"],
        }
    )
    found = table_corpora.table(frame, "y")
    assert found.modality == "table"
    assert sorted(str(label) for label in found.labels) == ["p", "q", "q"]
    rows = {json.loads(str(row))["real"]: json.loads(str(row)) for row in found.read(range(3))}
    assert rows[0.5] == {"whole": 1, "real": 0.5, "word": "a", "truth": "True"}
    assert rows[1.0]["word"] is None
    assert isinstance(rows[3.0]["whole"], int)
    assert found.digest == table_corpora.table(frame, "y").digest


@pytest.mark.parametrize(("name", "rows", "columns"), [("breast cancer", 569, 30), ("wine", 178, 13), ("digits", 1797, 64)])
def test_tables_that_come_with_scikit_learn(name: str, rows: int, columns: int, tmp_path: Path) -> None:
    found = table_corpora.CORPORA[name](tmp_path)
    assert (len(found), len(json.loads(str(found.read([0])[0])))) == (rows, columns)


@pytest.mark.parametrize("name", [name for name in table_corpora.CORPORA if name not in {"breast cancer", "wine", "digits"}])
def test_a_table_that_is_not_there_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="make data"):
        table_corpora.CORPORA[name](tmp_path)


def r_numbers(*values: float) -> bytes:
    """A vector of real numbers as R writes it: format 2, big-endian."""
    return b"X\n" + struct.pack(">5i", 2, 0x40000, 0x20300, 14, len(values)) + struct.pack(f">{len(values)}d", *values)


@pytest.mark.parametrize("method", ["zlib", "bz2", "xz"])
def test_objects_of_a_database_are_unpacked_whatever_packed_them(method: str) -> None:
    packed = {
        "zlib": struct.pack(">i", 4) + zlib.compress(b"data"),
        "bz2": struct.pack(">i", 4) + b"2" + bz2.compress(b"data"),
        "xz": struct.pack(">i", 4) + b"Z" + lzma.compress(b"data", lzma.FORMAT_RAW, filters=[*r_data._LZMA]),
    }
    assert r_data._unpacked(packed[method]) == b"data"


def test_an_object_of_a_package_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("rdata")
    body = struct.pack(">i", 8) + zlib.compress(r_numbers(1.5, 2.0))
    (tmp_path / "Rdata.rdb").write_bytes(b"other" + body)
    (tmp_path / "Rdata.rdx").write_bytes(gzip.compress(b"an index"))
    found: dict[bytes, Any] = {b"an index": {"variables": {"it": [5, len(body)]}}}
    read = r_data._read
    monkeypatch.setattr(r_data, "_read", lambda reader, data: found[data] if data in found else read(reader, data))
    assert r_data.from_database(tmp_path / "Rdata", "it").tolist() == [1.5, 2.0]


def test_a_table_as_a_file_is_read_as_the_table_it_was(tmp_path: Path) -> None:
    whole = with_sources(table_corpora.CORPORA["wine"](tmp_path), 5, np.random.default_rng(0))
    table_corpora.as_csv(whole, tmp_path / "wine.csv")
    again = load(tmp_path / "wine.csv")
    assert again.modality == "table"
    assert again.labels == whole.labels
    assert again.column("source") == whole.column("source")
    assert [json.loads(str(row)) for row in again.read([0, 9])] == [json.loads(str(row)) for row in whole.read([0, 9])]
