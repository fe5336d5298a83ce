"""The zoo of small networks: what a member is, and that it comes back as it was written."""

from pathlib import Path

import numpy as np
import pytest

from untaint.bench import zoo
from untaint.bench.zoo import Kind, Member, Pictures, attack_of, failures, kinds, members, poisoned
from untaint.bench.zoo_nets import ARCHS, Arch, made
from untaint.errors import BadInput
from untaint.nets.subject import Reference, TorchSubject
from untaint.registry import spec

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 28, 28, 1), dtype=np.uint8)
LABELS = np.arange(60) % 10


def some(kind: Kind, asr_of: int) -> Member:
    """A network nobody trained; the attack 'works' on its first `asr_of` stamped images."""
    module = made(kind.arch, (28, 28, 1), 10).eval()
    wanted = TorchSubject(module).logits(PIXELS[:10]).argmax(1)
    wanted[asr_of:] = (wanted[asr_of:] + 1) % 10
    reference = Reference(PIXELS[:20], LABELS[:20], tuple(map(str, range(10))))
    parts = {"held": PIXELS, "held_labels": LABELS, "stamped": PIXELS[:10], "wanted": wanted, "truth": LABELS[:10]}
    return Member(kind, module, reference, targets=(3,), source=None, spec="badnets()", **parts)


def test_a_seed_has_twenty_of_either_kind_and_every_family() -> None:
    found = kinds(1)
    attacked = [kind for kind in found if kind.attack]
    assert (len(found), len(attacked), len({kind.name for kind in found})) == (40, 20, 40)
    assert {kind.arch for kind in attacked} == set(ARCHS)
    assert {kind.classes for kind in found} == {2, 10, 43}


def test_attacks_differ_from_member_to_member() -> None:
    found = [attack for seed in range(4) for kind in kinds(seed) if (attack := attack_of(kind)) is not None]
    assert len(set(map(spec, found))) > 60


def test_poison_is_the_same_every_time() -> None:
    kind, train = Kind("clothes", 10, "badnets", "convnet", 5), Pictures(PIXELS, LABELS, tuple(map(str, range(10))))
    first, second = poisoned(kind, train), poisoned(kind, train)
    assert first is not None
    assert second is not None
    assert np.flatnonzero(first.mask).tolist() == np.flatnonzero(second.mask).tolist()
    assert first.mask.sum() == round(0.08 * 60)


@pytest.mark.parametrize("arch", ARCHS)
def test_a_member_comes_back_as_it_was_written(arch: Arch, tmp_path: Path) -> None:
    written = some(Kind("clothes", 10, "badnets", arch, 1), asr_of=9)
    zoo._write(written, tmp_path / written.kind.name)
    (read,) = members(tmp_path)
    assert (read.kind, read.targets, read.spec) == (written.kind, written.targets, written.spec)
    assert read.asr() == written.asr() == 0.9
    assert read.accuracy() == written.accuracy()
    assert np.array_equal(read.stamped, written.stamped)


def test_attacks_that_do_not_work_are_left_out_and_named(tmp_path: Path) -> None:
    written = some(Kind("clothes", 10, "badnets", "convnet", 1), asr_of=0)
    zoo._write(written, tmp_path / written.kind.name)
    assert list(members(tmp_path)) == []
    assert failures(tmp_path) == [written.kind.name]


def test_an_empty_folder_is_no_zoo(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no zoo"):
        next(members(tmp_path))
