import re
import tomllib
from importlib.resources import files
from typing import get_args

import pytest

from untaint.evidence.evidence import Kind
from untaint.evidence.standards import of_kind, standards
from untaint.models.base import Kind as OfModels

CONTENT = tomllib.loads(files("untaint.evidence").joinpath("standards.toml").read_text(encoding="utf-8"))


def test_every_kind_of_finding_has_its_line() -> None:
    assert set(CONTENT["kinds"]) == {*get_args(Kind), *(f"model-{kind}" for kind in get_args(OfModels))}
    assert [kind for kind in get_args(Kind) if not of_kind(kind)] == ["shortcut"]
    assert of_kind("unheard of") == ()


def test_every_id_is_in_a_catalogue_once_and_used() -> None:
    known = [standard.id for standard in standards()]
    assert len(set(known)) == len(known)
    used = {id for ids in CONTENT["kinds"].values() for id in ids}
    assert used == set(known)


@pytest.mark.parametrize("standard", standards(), ids=lambda standard: standard.id)
def test_ids_look_like_theirs(standard: tuple[str, ...]) -> None:
    assert re.fullmatch(r"AML\.T\d{4}(\.\d{3})?|(ML|LLM)\d\d:20\d\d|NISTAML\.\d{3}", standard[2])


def test_a_backdoor() -> None:
    assert ("MITRE ATLAS", "5.6.0", "AML.T0043.004", "Insert Backdoor Trigger") in of_kind("backdoor")
