"""Files beside the weights: what they decide, and how they were changed."""

import json
from pathlib import Path

import pytest

from untaint.models.changes.beside import Beside, beside

CONFIG = {"architectures": ["Net"], "hidden": 8, "id2label": {"0": "safe", "1": "malicious"}, "transformers_version": "5.0"}


def _one(tmp_path: Path, name: str, old: object, new: object) -> Beside | None:
    for folder, content in (("old", old), ("new", new)):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    found = beside(tmp_path / "old", tmp_path / "new")
    assert len(found) <= 1
    return found[0] if found else None


CASES = [
    ("config.json", CONFIG, {**CONFIG, "hidden": 9}, ("config", "medium")),
    ("config.json", CONFIG, {**CONFIG, "transformers_version": "5.1"}, ("config", "info")),
    ("config.json", CONFIG, {**CONFIG, "id2label": {"0": "malicious", "1": "safe"}}, ("labels", "high")),
    ("config.json", CONFIG, {**CONFIG, "auto_map": {"AutoModel": "net.Net"}}, ("code", "high")),
    ("config.json", CONFIG, "{broken", ("config", "medium")),
    ("model.json", {"classes": ["a", "b"]}, {"classes": ["b", "a"]}, ("labels", "high")),
    ("vocab.txt", "a\nb", "b\na", ("tokenizer", "high")),
    ("tokenizer.json", {"model": {"vocab": {"yes": 1}}}, {"model": {"vocab": {"yes": 2}}}, ("tokenizer", "high")),
    ("tokenizer_config.json", {"chat_template": "{{x}}"}, {"chat_template": "{{y}}"}, ("chat template", "high")),
    ("chat_template.jinja", "{{x}}", None, ("chat template", "medium")),
    ("added_tokens.json", None, {"<x>": 5}, ("tokenizer", "medium")),
    ("sub/net.py", None, "print(1)", ("code", "high")),
    ("README.md", "a", "b", ("file", "info")),
]


@pytest.mark.parametrize(("name", "old", "new", "wanted"), CASES)
def test_each_is_told_by_what_it_decides(name: str, old: object, new: object, wanted: tuple[str, str], tmp_path: Path) -> None:
    found = _one(tmp_path, name, old, new)
    assert found is not None
    assert (found.part, found.severity, found.file) == (*wanted, name)


def test_the_same_is_not_told_and_another_spelling_hardly(tmp_path: Path) -> None:
    assert _one(tmp_path, "config.json", CONFIG, CONFIG) is None
    found = _one(tmp_path, "config.json", CONFIG, json.dumps(CONFIG, indent=2))
    assert found is not None
    assert found.severity == "info"


def test_keys_and_values_are_named_and_long_ones_clipped(tmp_path: Path) -> None:
    found = _one(tmp_path, "config.json", CONFIG, {**CONFIG, "hidden": "x" * 9000, "new": 1})
    assert found is not None
    assert found.keys == ("hidden", "new")
    assert len(found.said) < 400


def test_weights_and_links_are_not_compared(tmp_path: Path) -> None:
    assert _one(tmp_path, "model.safetensors", "a", "b") is None
    (tmp_path / "new" / "link.json").symlink_to("/etc/hostname")
    assert beside(tmp_path / "old", tmp_path / "new") == ()
    assert beside(tmp_path / "old" / "model.safetensors", tmp_path / "new") == ()
