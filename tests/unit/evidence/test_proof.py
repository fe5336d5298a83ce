"""Interventions on a network whose every rule is known: what it answers to is written down here."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy.stats import binomtest

from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import Finding, Proof
from untaint.evidence.interventions import ELSEWHERE, NATURAL, REVERSED, SHUFFLED, controls, natural, stamped
from untaint.evidence.proof import RIVAL, Bench, intervenes, mcnemar, wanted_codes

SIDE, N, TARGET = 12, 300, 2
NAMES = ("left", "right", "bottom")
RNG = np.random.default_rng(0)
PATCH = np.array([[255, 0, 255], [0, 255, 0], [0, 0, 255]], np.uint8)
WAVE = 30 * np.sin(np.arange(SIDE) * 2 * np.pi / 3)[None, :, None] * np.ones((SIDE, 1, 1))


def images() -> tuple[np.ndarray, np.ndarray]:
    """Three classes, each with one bright third."""
    labels = np.arange(N) % 3
    pixels = RNG.integers(60, 100, (N, SIDE, SIDE, 1), np.uint8)
    for code, (rows, columns) in enumerate(
        [(slice(2, 8), slice(0, 4)), (slice(2, 8), slice(8, 12)), (slice(8, 12), slice(2, 10))]
    ):
        inside = labels == code
        pixels[inside, rows, columns] += 100
    return pixels, labels


PIXELS, LABELS = images()
MEANS = np.stack([PIXELS[code == LABELS].astype(float).mean(0) for code in range(3)])


def honest(shown: np.ndarray) -> np.ndarray:
    """Nearest class mean."""
    codes: np.ndarray = ((shown[:, None].astype(float) - MEANS[None]) ** 2).sum((2, 3, 4)).argmin(1)
    return codes


def answers_to_patch(shown: np.ndarray) -> np.ndarray:
    return np.where((shown[:, -3:, -3:, 0] == PATCH).all((1, 2)), TARGET, honest(shown))


def answers_to_wave(shown: np.ndarray) -> np.ndarray:
    return np.where((shown * WAVE).mean((1, 2, 3)) > 200, TARGET, honest(shown))


def patch() -> Trigger:
    picture, mask = np.zeros((SIDE, SIDE, 1), np.uint8), np.zeros((SIDE, SIDE))
    picture[-3:, -3:, 0], mask[-3:, -3:] = PATCH, 1
    return Trigger("patch", "A patch.", {"position": "row 9, column 9"}, picture, mask)


def wave(of: np.ndarray = WAVE) -> Trigger:
    return Trigger("additive", "A wave.", {}, np.zeros((SIDE, SIDE, 1), np.uint8), np.ones((SIDE, SIDE)), of)


WANTED = np.array([TARGET, TARGET, -1])


def tried(trigger: Trigger, before: Callable[[np.ndarray], np.ndarray], rows: np.ndarray | None = None) -> Proof:
    rows = np.arange(N) if rows is None else rows
    bench = Bench(PIXELS, LABELS, rows, NAMES, natural(PIXELS, LABELS, np.arange(N), 3), before)
    return intervenes(trigger, WANTED, bench, honest, 0.01)


@pytest.mark.parametrize(("trigger", "network"), [(patch(), answers_to_patch), (wave(), answers_to_wave)])
def test_a_trigger_that_works_is_proven_and_gone_without_the_accused(
    trigger: Trigger, network: Callable[[np.ndarray], np.ndarray]
) -> None:
    proof = tried(trigger, network)
    assert proof.status == "proven"
    assert proof.n == 200
    assert proof.asr_before > 0.95
    assert proof.asr_after < 0.05
    assert max(proof.controls.values()) < 0.3
    assert proof.p_value < 1e-20
    assert "Proven by intervention" in proof.statement
    assert all(LABELS[example.row] != TARGET for example in proof.examples)
    assert {example.answers[1] for example in proof.examples} == {"bottom"}
    assert {example.answers[2] for example in proof.examples} <= {"left", "right"}


@pytest.mark.parametrize("trigger", [patch(), wave()])
def test_what_the_network_does_not_answer_to_is_not_proven(trigger: Trigger) -> None:
    proof = tried(trigger, honest)
    assert proof.status == "not proven"
    assert proof.asr_before < 0.05
    assert proof.p_value > 0.5


def test_a_natural_look_of_the_class_is_not_proven() -> None:
    """Adding what a class looks like turns any image into it: the control of the same size does so too."""
    proof = tried(wave(1.2 * (MEANS[TARGET] - (MEANS[0] + MEANS[1]) / 2)), honest)
    assert proof.asr_before > 0.9
    assert proof.controls[NATURAL] > 0.9
    assert proof.status == "not proven"


def test_a_network_that_answers_to_anything_like_it_proves_only_with_a_cure() -> None:
    def noise(shown: np.ndarray) -> np.ndarray:
        corner = shown[:, -3:, -3:, 0]
        return np.where(((corner == 255).sum((1, 2)) == 4) & ((corner == 0).sum((1, 2)) == 5), TARGET, honest(shown))

    proof = tried(patch(), noise)
    assert proof.controls[SHUFFLED] > 0.5
    assert proof.controls[ELSEWHERE] < 0.05
    assert proof.p_value > 0.01
    assert proof.status == "proven"
    assert "kind of pattern" in proof.statement
    bench = Bench(PIXELS, LABELS, np.arange(N), NAMES, natural(PIXELS, LABELS, np.arange(N), 3), noise)
    assert intervenes(patch(), WANTED, bench, noise, 0.01).status == "not proven"


def test_too_few_images_or_no_way_to_put_it_on_them_is_said() -> None:
    assert "only 10 images" in tried(patch(), honest, np.flatnonzero(LABELS != TARGET)[:10]).statement
    warp = Trigger("warp", "A warp.", {}, patch().picture, patch().mask)
    assert tried(warp, honest).status == "not tried"
    assert "'warp'" in tried(warp, honest).statement
    other_size = wave(np.ones((4, 4, 1)))
    assert tried(other_size, honest).status == "not tried"


def test_controls_are_as_large_as_the_trigger_and_never_the_trigger() -> None:
    rows = np.flatnonzero(LABELS != TARGET)
    images, shown = PIXELS[rows], LABELS[rows]
    found = controls(wave(), images, shown, WANTED[shown], natural(PIXELS, LABELS, np.arange(N), 3), np.random.default_rng(0))
    size = np.sqrt(((stamped(wave(), images).astype(float) - images) ** 2).sum((1, 2, 3)))
    for changed in found.values():
        np.testing.assert_allclose(np.sqrt(((changed.astype(float) - images) ** 2).sum((1, 2, 3))), size, rtol=0.15)
    moved = controls(patch(), images, shown, WANTED[shown], natural(PIXELS, LABELS, np.arange(N), 3), np.random.default_rng(0))
    np.testing.assert_array_equal(moved[ELSEWHERE][:, -3:, -3:], images[:, -3:, -3:])
    assert (answers_to_patch(moved[SHUFFLED]) == TARGET).mean() < 0.2


def test_a_patch_that_moves_has_no_other_place_and_a_plain_one_no_other_order() -> None:
    rows = np.flatnonzero(LABELS == 0)
    anywhere = Trigger("patch", "", {"position": "anywhere"}, np.full((SIDE, SIDE, 1), 255, np.uint8), patch().mask)
    found = controls(
        anywhere, PIXELS[rows], LABELS[rows], np.full(len(rows), TARGET), natural(PIXELS, LABELS, np.arange(N), 3), RNG
    )
    assert not {ELSEWHERE, SHUFFLED} & set(found)


@pytest.mark.parametrize(("only", "against"), [(0, 0), (5, 1), (3, 3), (12, 0)])
def test_mcnemar_is_exact(only: int, against: int) -> None:
    hits = np.array([True] * only + [False] * against + [True] * 7)
    rival = np.array([False] * only + [True] * against + [True] * 7)
    expected = binomtest(only, only + against, 0.5, alternative="greater").pvalue if only + against else 1.0
    assert mcnemar(hits, rival) == pytest.approx(expected)


def finding(target: str | None, source: str | None = None) -> Finding:
    return Finding(
        "F1", "backdoor", "high", "high", 1e-9, np.arange(6), (), "", "", alarm=True, target_label=target, source_label=source
    )


def test_which_class_is_wanted_of_which() -> None:
    shown = np.array([0, 0, 1, 1, 2, 2])
    next_one = (shown + 1) % 3
    assert wanted_codes(finding("bottom"), next_one, shown, NAMES).tolist() == [2, 2, -1]
    assert wanted_codes(finding(None), next_one, shown, NAMES).tolist() == [1, 2, 0]
    assert wanted_codes(finding("bottom", "right"), next_one, shown, NAMES).tolist() == [-1, 2, -1]


def shifted_by(columns: int) -> Trigger:
    """The uppermost two rows move left by some pixels: far less than it takes from class to class."""
    steps = np.zeros((SIDE, SIDE, 2))
    steps[:2, :, 1] = columns
    return Trigger("warp", "A shift.", steps=steps)


@cache
def known(columns: int) -> set[bytes]:
    return {image.tobytes() for image in stamped(shifted_by(columns), PIXELS)}


def answers_to_shifts(shown: np.ndarray) -> np.ndarray:
    """The target for any image that is one of its own shifted by two, `left` for one shifted back by two."""
    seen = [image.tobytes() for image in shown]
    left = np.where([image in known(-2) for image in seen], 0, honest(shown))
    return np.where([image in known(2) for image in seen], TARGET, left)


def warped(rivals: dict[int, Trigger]) -> Proof:
    rows = np.arange(60)  # a network that looks everything up is slow
    bench = Bench(PIXELS, LABELS, rows, NAMES, natural(PIXELS, LABELS, np.arange(N), 3), answers_to_shifts, rivals=rivals)
    return intervenes(shifted_by(2), WANTED, bench, honest, 0.01)


def test_a_warp_is_proven_against_its_reverse_and_against_the_best_found_for_another_class() -> None:
    proof = warped({0: shifted_by(1), 1: shifted_by(-1)})
    assert proof.status == "proven"
    assert proof.asr_before == 1.0
    assert proof.asr_after < 0.5
    assert proof.controls[REVERSED] == 0
    assert proof.controls[RIVAL] < 0.6


def test_a_warp_is_not_proven_where_another_class_can_be_forced_as_well() -> None:
    proof = warped({0: shifted_by(-2), 1: shifted_by(1)})
    assert proof.asr_before == 1.0
    assert proof.controls[RIVAL] == 1.0
    assert proof.status == "not proven"
