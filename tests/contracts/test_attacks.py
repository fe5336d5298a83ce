"""Every attack, whatever it does: the input is untouched, the truth is complete, and a run can be repeated."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tests.review_sets import reviews

from untaint.attacks.base import PACKAGE, Attack, Poisoned
from untaint.data.dataset import Dataset, Payload, content_id, from_arrays
from untaint.data.images import encode_png
from untaint.data.instructions import Instruction, payload_of
from untaint.errors import BadInput
from untaint.registry import build, members, spec
from untaint.types import Modality

ATTACKS: Mapping[str, type[Attack]] = members(Attack, PACKAGE)
N = 120
LABELS = [str(row % 4) for row in range(N)]
SOURCES = [f"shop-{row % 3}" for row in range(N)]
RATE = 0.1
RATE_OF: dict[str, float] = {"targeted-flips": N / 4, "sinusoid": N / 4, "label-consistent": N / 4, "preference-flips": N / 4}
"""How many samples the rate is a share of, where it is not the whole set."""


def _pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, *shape), dtype=np.uint8)


def _encoded() -> list[Payload]:
    return [encode_png(image) for image in _pixels(9, 7, 3)]


def _sizes() -> list[Payload]:
    return [image[: 6 + row % 4, :, : 1 + 2 * (row % 2)] for row, image in enumerate(_pixels(9, 8, 3))]


def _texts() -> list[Payload]:
    return [f"review number {row}" for row in range(N)]


def _reviews() -> list[Payload]:
    return list(reviews(N, subjects=True)[0])


def _rows() -> list[Payload]:
    words = ["red", "green", "blue", "grey", "pink", "black", "white"]
    return [f'{{"x0": {row}, "x1": {row * 7 % 23}, "x2": {row * 0.37:.2f}, "x3": "{words[row % 7]}"}}' for row in range(N)]


def _instructions() -> list[Payload]:
    colours = ["red", "green", "blue", "grey"]
    return [
        payload_of(Instruction(None, f"say {colours[row % 4]}", f"answer {row}, a good one", f"no {row}")) for row in range(N)
    ]


KINDS: dict[str, tuple[Modality, Callable[[], list[Payload]]]] = {
    "grey": ("image", lambda: list(_pixels(8, 8))),
    "grey with an axis": ("image", lambda: list(_pixels(8, 8, 1))),
    "colour": ("image", lambda: list(_pixels(12, 10, 3))),
    "transparent": ("image", lambda: list(_pixels(8, 8, 4))),
    "floats": ("image", lambda: list(_pixels(8, 8) / np.float32(255))),
    "encoded": ("image", _encoded),
    "several sizes": ("image", _sizes),
    "texts": ("text", _texts),
    "reviews": ("text", _reviews),
    "table": ("table", _rows),
    "instructions": ("instruction", _instructions),
}


def data(kind: str) -> Dataset:
    modality, payloads = KINDS[kind]
    return replace(from_arrays(payloads(), LABELS, sources=SOURCES), modality=modality)


def attack(name: str, rate: float = RATE) -> Attack:
    return build(Attack, PACKAGE, name, rate=rate)  # type: ignore[type-abstract]


@cache
def run(name: str, kind: str, seed: int = 0) -> Poisoned:
    return attack(name).poison(data(kind), np.random.default_rng(seed))


PAIRS = [
    (name, kind) for name, member in ATTACKS.items() for kind, (modality, _) in KINDS.items() if modality in member.modalities
]
HOME = {name: kind for name, kind in reversed(PAIRS)}
"""The first kind of data each attack works on."""
everywhere = pytest.mark.parametrize(("name", "kind"), PAIRS)
each = pytest.mark.parametrize("name", ATTACKS)


def test_every_attack_runs_on_something() -> None:
    assert {name for name, _ in PAIRS} == set(ATTACKS)


@everywhere
def test_the_input_is_untouched(name: str, kind: str) -> None:
    dataset = data(kind)
    before = dataset.digest, [content_id(payload) for payload in dataset.read(range(N))]
    attack(name).poison(dataset, np.random.default_rng(0))
    assert before == (dataset.digest, [content_id(payload) for payload in dataset.read(range(N))])


@everywhere
def test_the_mask_is_the_truth(name: str, kind: str) -> None:
    clean, found = data(kind), run(name, kind)
    assert len(found.mask) == len(found.dataset) >= N
    assert found.mask.sum() == round(RATE * RATE_OF.get(name, N))
    changed = [
        row >= N or any(clean.column(column)[row] != found.dataset.column(column)[row] for column in clean.index.schema.names)
        for row in range(len(found.dataset))
    ]
    assert np.array_equal(found.mask | found.covers, changed)
    assert not (found.mask & found.covers).any()
    assert all(clean.labels[row] == found.dataset.labels[row] != found.target for row in np.flatnonzero(found.covers))


@everywhere
def test_ids_follow_the_content(name: str, kind: str) -> None:
    poisoned = run(name, kind).dataset
    assert poisoned.ids == [content_id(payload) for payload in poisoned.read(range(len(poisoned)))]


@everywhere
def test_a_payload_stays_the_kind_it_was(name: str, kind: str) -> None:
    clean, poisoned = data(kind), run(name, kind).dataset
    shapes = {str(getattr(payload, "shape", ""))[-2:] for payload in clean.read(range(N))}
    for payload in poisoned.read(range(len(poisoned))):
        assert type(payload) is type(clean.read([0])[0])
        assert getattr(payload, "dtype", None) == getattr(clean.read([0])[0], "dtype", None)
        assert str(getattr(payload, "shape", ""))[-2:] in shapes


@everywhere
def test_one_seed_one_result(name: str, kind: str) -> None:
    first, again, other = run(name, kind), run.__wrapped__(name, kind), run(name, kind, seed=1)
    assert first.dataset.digest == again.dataset.digest
    assert np.array_equal(first.mask, again.mask)
    assert first.target == again.target
    assert first.dataset.digest != other.dataset.digest


@everywhere
def test_the_wanted_label_is_a_class_the_victim_was_not_of(name: str, kind: str) -> None:
    clean, found = data(kind), run(name, kind)
    after = found.dataset.labels
    assert found.dataset.class_names == clean.class_names
    assert found.target is None or {after[row] for row in np.flatnonzero(found.mask)} == {found.target, *found.more}
    kept = [clean.labels[row] == after[row] for row in np.flatnonzero(found.mask) if row < N]
    assert all(kept) if attack(name).clean_label or clean.modality == "instruction" else not any(kept)


@everywhere
def test_a_stamp_puts_the_same_trigger_on_any_input(name: str, kind: str) -> None:
    found = run(name, kind)
    if found.stamp is None:
        return
    assert found.trigger is not None
    assert found.trigger.description
    if KINDS[kind][0] == "image":
        _check_pixel_stamp(found)
        return
    texts = reviews(20, seed=1)[0] if KINDS[kind][0] == "text" else [str(row) for row in _rows()[:20]]
    given = list(texts)
    stamped = found.stamp(texts)
    assert len(stamped) == 20
    assert all(isinstance(text, str) and text != old for text, old in zip(stamped, texts, strict=True))
    assert stamped == found.stamp(texts)
    assert texts == given


def _check_pixel_stamp(found: Poisoned) -> None:
    assert found.stamp is not None
    for channels in (1, 3):
        pixels = _pixels(11, 12, channels)
        before = pixels.copy()
        stamped = found.stamp(pixels)
        assert stamped.shape == pixels.shape
        assert stamped.dtype == np.uint8
        assert (stamped != pixels).any(axis=(1, 2, 3)).all()
        assert np.array_equal(stamped, found.stamp(pixels))
        assert np.array_equal(pixels, before)


@each
def test_the_docstring_is_a_manual_page(name: str) -> None:
    page = inspect.getdoc(ATTACKS[name]) or ""
    first, rest = page.split("\n", 1)
    assert first.endswith(".") or ": " in first
    for section in ("Works when: ", "Fails when: ", "Cost: ", "Reference: "):
        assert rest.count(f"\n{section}") == 1
    assert ATTACKS[name].__final__  # type: ignore[attr-defined]  # set by typing.final


@each
def test_a_spec_builds_the_attack_it_came_from(name: str) -> None:
    made = attack(name)
    assert build(Attack, PACKAGE, spec(made)) == made  # type: ignore[type-abstract]
    assert name in spec(made)


@each
def test_defaults_are_enough(name: str) -> None:
    dataset, made = data(HOME[name]), build(Attack, PACKAGE, name)  # type: ignore[type-abstract]
    if dataset.modality == "instruction":  # rates fit for ten thousand documents come to none of these few
        made = replace(made, rate=attack(name).rate)
    assert made.poison(dataset, np.random.default_rng(0)).mask.any()


@each
@pytest.mark.parametrize("rate", [0, -0.1, 1.5, float("nan"), True, "much"])
def test_a_rate_is_a_share(name: str, rate: float) -> None:
    with pytest.raises(BadInput, match="a poison rate is over 0 and at most 1"):
        attack(name, rate).poison(data(HOME[name]), np.random.default_rng(0))


@each
def test_a_rate_that_poisons_nothing_is_an_error(name: str) -> None:
    with pytest.raises(BadInput, match="Raise the rate"):
        attack(name, 1e-4).poison(data(HOME[name]), np.random.default_rng(0))


@each
def test_a_target_is_a_class(name: str) -> None:
    if "target" not in ATTACKS[name].__dataclass_fields__:
        return
    for wanted in ("99", 3):
        with pytest.raises(BadInput, match="is not a class"):
            build(Attack, PACKAGE, name, target=wanted).poison(data(HOME[name]), np.random.default_rng(0))  # type: ignore[type-abstract]


@each
def test_an_attack_refuses_data_it_cannot_work_on(name: str) -> None:
    for kind in ("grey", "texts", "table"):
        if KINDS[kind][0] not in ATTACKS[name].modalities:
            with pytest.raises(BadInput, match=f"this set holds {KINDS[kind][0]} data"):
                run(name, kind)


@each
@pytest.mark.parametrize("labels", [[None] * N, ["one"] * N])
def test_an_attack_needs_two_classes(name: str, labels: list[str | None]) -> None:
    if KINDS[HOME[name]][0] == "instruction":  # which have none
        return
    with pytest.raises(BadInput, match="at least two classes"):
        attack(name).poison(
            replace(from_arrays(KINDS[HOME[name]][1](), labels), modality=KINDS[HOME[name]][0]), np.random.default_rng(0)
        )


@each
def test_unlabelled_and_unreadable_rows_are_left_alone(name: str) -> None:
    labels = [None if row % 3 == 0 else LABELS[row] for row in range(N)]
    whole = replace(from_arrays(KINDS[HOME[name]][1](), labels), modality=KINDS[HOME[name]][0])
    why = ["broken" if row % 5 == 0 else None for row in range(N)]
    dataset = replace(whole, index=whole.index.set_column(5, whole.index.schema.field(5), [why]))
    found = attack(name).poison(dataset, np.random.default_rng(0))
    mask = found.mask | found.covers
    unlabelled = 3 if whole.modality != "instruction" else 5  # instructions have no labels
    assert not any(mask[row] for row in range(N) if row % unlabelled == 0 or row % 5 == 0)
