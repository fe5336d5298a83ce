"""Recipes compared: what is measured, and which one is taken."""

import json
from math import nan
from pathlib import Path

import pytest

from untaint import api
from untaint.bench.sources import digits
from untaint.bench.tradeoff import Point, choose
from untaint.errors import BadInput
from untaint.training.engines.fit import Plan

TRAIN, TEST = digits()


def _point(recipe: str, accuracy: float, asr: float) -> Point:
    return Point(recipe, accuracy, asr, {}, None, 1.0)


def test_the_most_accurate_recipe_that_holds_is_taken() -> None:
    points = [_point("plain", 0.98, 0.9), _point("a", 0.95, 0.02), _point("b", 0.97, 0.06), _point("c", 0.99, 0.2)]
    chosen, why = choose(points, 0.01)
    assert chosen.recipe == "b"
    assert "2 of 4 recipes hold the attack to 6.0%" in why


def test_where_none_holds_the_attack_succeeds_least_on_the_one_taken() -> None:
    chosen, why = choose([_point("plain", 0.98, 0.9), _point("a", 0.6, 0.4)], 0.01)
    assert chosen.recipe == "a"
    assert "No recipe holds" in why


def test_without_a_trigger_accuracy_decides() -> None:
    assert choose([_point("plain", 0.8, nan), _point("a", 0.9, nan)], nan)[0].recipe == "a"


def test_a_sweep_plants_trains_and_writes_what_it_found(tmp_path: Path) -> None:
    found = api.sweep(
        TRAIN,
        test=TEST,
        attack="badnets(rate=0.05, position='corner')",
        recipes=["plain", "certify(partitions=48)", "guard + clip + dp"],
        out=tmp_path / "s",
        plan=Plan(epochs=8, held_out=0.0),
    )
    by_name = {point.recipe: point for point in found.points}
    assert by_name["plain"].asr > found.floor + 0.3
    assert by_name["certify(partitions=48)"].certified[1] > 0.7
    assert "unsound" in found.skipped["guard + clip + dp"]
    document = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert document["chosen"] == found.chosen.recipe
    page = (tmp_path / "s" / "report.html").read_text()
    assert "<script" not in page
    assert "certify(partitions=48)" in page


def test_what_cannot_be_attacked_so_is_refused() -> None:
    with pytest.raises(BadInput, match="works on text"):
        api.sweep(TRAIN, test=TEST, attack="trigger-words", recipes=["plain"], plan=Plan(epochs=1, held_out=0.0))
