"""A zoo of small networks, backdoored and clean, on which what looks at models, repairs and guards them is measured.

Every member is trained here: on 2, 10 or 43 classes of grey 28x28 pictures, by three families of networks, under five attacks or
none. It comes with what a defender has (clean images that no one trained on) and, apart from that, with the truth.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from untaint import registry
from untaint.attacks.badnets import BadNets
from untaint.attacks.base import Attack, Poisoned, successors
from untaint.attacks.blended import Blended
from untaint.attacks.wanet import WaNet
from untaint.bench.sources import CLOTHES, fashion_mnist, mnist
from untaint.bench.victim import stacked
from untaint.bench.zoo_nets import ARCHS, Arch, made
from untaint.data.dataset import Dataset, from_arrays
from untaint.errors import BadInput
from untaint.nets.subject import Reference, TorchSubject, as_tensor
from untaint.types import Labels, Pixels

_SOURCE_SPECIFIC, _ALL_TO_ALL = "source-specific", "all-to-all"
ATTACKS = (BadNets.id, Blended.id, WaNet.id, _SOURCE_SPECIFIC, _ALL_TO_ALL)
SETS = ("clothes", "digits", "mixed")
_PER_CLASS: Mapping[int, int] = {2: 3000, 10: 1000, 43: 300}
"""Training images of each class: about 10,000 in all, as few as a small network needs to tell them apart."""
_APART = 2000
"""Clean images that no network was trained on: half for the defender, half to measure on."""
_PAIRS = ((8, 0), (1, 3), (7, 9), (4, 6), (5, 2))
"""Two-class sets: pairs of clothes, from far apart (bags and T-shirts) to alike (coats and shirts)."""
_EPOCHS: Mapping[Arch, int] = {"convnet": 8, "resnet": 8, "vit": 14}
"""Enough for each family to learn the pictures and the trigger; transformers take longer."""
_RATE, _BATCH = 3e-3, 128
_WEIGHTS = "net.safetensors"
WORKS = 0.8
"""ASR from which an attack counts as working, as a share of the clean accuracy: an all-to-all one must know the class to name the
next. The others are left out, and named."""


@final
@dataclass(frozen=True)
class Kind:
    """What a member is. attack: None = clean. name: of the folder."""

    data: str
    classes: int
    attack: str | None
    arch: Arch
    seed: int

    @property
    def name(self) -> str:
        """A name that tells all of it."""
        return f"{self.data}-{self.classes}-{self.attack or 'clean'}-{self.arch}-{self.seed}"


@final
@dataclass(frozen=True)
class Member:
    """A trained network and all about it.

    reference: what a defender may use.  held, held_labels: clean images to measure on.  stamped: some of them with the trigger,
    (m, h, w, c); wanted: the attacker's label for each; truth: their own.  All empty for clean networks.
    targets: class codes the attack aims at, () = clean.  source: of a source-specific attack, None = all classes.
    """

    kind: Kind
    module: nn.Module
    reference: Reference
    held: Pixels
    held_labels: Labels
    stamped: np.ndarray
    wanted: np.ndarray
    truth: np.ndarray
    targets: tuple[int, ...]
    source: int | None
    spec: str

    @property
    def subject(self) -> TorchSubject:
        """The network behind the one interface."""
        return TorchSubject(self.module, self.kind.name)

    def accuracy(self, module: nn.Module | None = None) -> float:
        """Clean accuracy of the network, or of another in its place."""
        return float(np.mean(_answers(module or self.module, self.held) == self.held_labels))

    def asr(self, module: nn.Module | None = None) -> float:
        """Attack success rate; NaN = clean."""
        return float(np.mean(_answers(module or self.module, self.stamped) == self.wanted)) if len(self.stamped) else float("nan")

    def robust_accuracy(self, module: nn.Module | None = None) -> float:
        """Share of triggered images given their own label (R-Acc); NaN = clean."""
        return float(np.mean(_answers(module or self.module, self.stamped) == self.truth)) if len(self.stamped) else float("nan")


def kinds(seed: int) -> list[Kind]:
    """Twenty backdoored and twenty clean members: 5 attacks on 2 and on 43 classes, on clothes and on digits, and as many clean ones."""
    found = []
    cells = [("clothes", 2), ("clothes", 10), ("digits", 10), ("mixed", 43)]
    for at, (data, classes) in enumerate(cells):
        for turn, attack in enumerate(ATTACKS):
            found.append(Kind(data, classes, attack, ARCHS[(at + turn + seed) % 3], seed))
            found.append(Kind(data, classes, None, ARCHS[(at + turn + seed) % 3], seed * 100 + turn))
    return found


@final
@dataclass(frozen=True)
class Pictures:
    """Pictures with codes; names of the classes."""

    pixels: Pixels
    labels: Labels
    classes: tuple[str, ...]


def pictures(kind: Kind, mnist_folder: Path) -> tuple[Pictures, Pictures]:
    """Pictures to train on, and 2,000 others. Raises BadInput where a data set is not installed."""
    parts = [_source(which, kind, mnist_folder) for which in ("train", "test")]
    rng = np.random.default_rng(1000 + kind.seed)
    train = _balanced(parts[0], _PER_CLASS[kind.classes], rng)
    return train, _balanced(parts[1], _APART // kind.classes, rng)


def attack_of(kind: Kind) -> Attack | None:
    """The attack of a member, with parameters drawn from its seed; None = clean."""
    if kind.attack is None:
        return None
    rng = np.random.default_rng([kind.seed, SETS.index(kind.data), kind.classes, ATTACKS.index(kind.attack)])
    pattern, row, column = ("white", "checkerboard", "random")[rng.integers(3)], *(int(step) for step in rng.integers(0, 25, 2))
    target, source = (str(code) for code in rng.permutation(kind.classes)[:2])
    patch = partial(BadNets, size=3, pattern=pattern, position=(row, column))
    if kind.attack == BadNets.id or (kind.attack == _SOURCE_SPECIFIC and kind.classes == 2):
        return patch(rate=0.08, target=target)
    if kind.attack == Blended.id:
        return Blended(rate=0.05, target=target, alpha=0.2, pattern=("noise", "smooth")[rng.integers(2)], seed=kind.seed)
    if kind.attack == WaNet.id:
        return WaNet(rate=0.12, target=target)
    if kind.attack == _ALL_TO_ALL:
        return patch(rate=0.2, all_to_all=True)
    return patch(rate=min(0.05, round(0.5 / kind.classes, 5)), target=target, source=source, cover=0.05)


def poisoned(kind: Kind, train: Pictures) -> Poisoned | None:
    """The training set with the member's poison in it, and the truth; None = clean. The same every time."""
    attack = attack_of(kind)
    if attack is None:
        return None
    dataset = from_arrays(train.pixels, [str(code) for code in train.labels])
    return attack.poison(dataset, np.random.default_rng(kind.seed))


def train_member(kind: Kind, folder: Path, mnist_folder: Path, device: str = "cpu") -> dict[str, Any]:
    """Train a member, unless its weights are there, write it to `folder/name`, and say how well it and its attack work."""
    train, apart = pictures(kind, mnist_folder)
    attack, attacked = attack_of(kind), poisoned(kind, train)
    given = train if attacked is None else Pictures(*_numbers(attacked.dataset), train.classes)
    weights = folder / kind.name / _WEIGHTS
    module = _loaded(kind.arch, given, weights) if weights.is_file() else fitted(kind.arch, given, kind.seed, device)
    half = len(apart.labels) // 2
    held, labels = apart.pixels[half:], apart.labels[half:]
    rows, wanted = _tried(attacked, labels)
    stamped = attacked.stamp(held[rows]) if attacked is not None and attacked.stamp is not None else held[rows]
    member = Member(
        kind,
        module,
        Reference(apart.pixels[:half], apart.labels[:half], apart.classes),
        held,
        labels,
        stamped,
        wanted,
        labels[rows],
        tuple(sorted(set(wanted.tolist()))),
        int(attacked.source) if attacked is not None and attacked.source is not None else None,
        "" if attack is None else registry.spec(attack),
    )
    about = _write(member, folder / kind.name)
    return {"name": kind.name, **about["measured"]}


def fitted(arch: Arch, given: Pictures, seed: int, device: str) -> nn.Module:
    """A network trained on pictures: AdamW with a one-cycle rate."""
    torch.manual_seed(seed)
    module = made(arch, given.pixels.shape[1:], len(given.classes)).to(device)
    inputs, labels = as_tensor(given.pixels).to(device), torch.from_numpy(given.labels).to(device)
    steps = -(-len(labels) // _BATCH)
    optimizer = torch.optim.AdamW(module.parameters(), _RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps * _EPOCHS[arch])
    module.train()
    for _ in range(_EPOCHS[arch]):
        order = torch.randperm(len(labels))
        for start in range(0, len(labels), _BATCH):
            batch = order[start : start + _BATCH].to(device)
            loss = functional.cross_entropy(module(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return module.cpu().eval()


def _loaded(arch: Arch, given: Pictures, weights: Path) -> nn.Module:
    module = made(arch, given.pixels.shape[1:], len(given.classes))
    module.load_state_dict(load_file(weights))
    return module.eval()


def members(folder: Path) -> Iterator[Member]:
    """Every member of a folder, one at a time, by name; those whose attack does not work are left out (`failures` names them).

    Raises BadInput when there are none.
    """
    found = sorted(folder.glob("*/about.json"))
    if not found:
        raise BadInput(f"{folder} holds no zoo.", advice="Train one: python benchmarks/models_zoo.py --output FOLDER")
    for about in found:
        if _works(json.loads(about.read_text())["measured"]):
            yield member(about.parent)


def failures(folder: Path) -> list[str]:
    """Names of the members whose attack does not work."""
    return [
        path.parent.name for path in sorted(folder.glob("*/about.json")) if not _works(json.loads(path.read_text())["measured"])
    ]


def member(folder: Path) -> Member:
    """One member from its folder."""
    about = json.loads((folder / "about.json").read_text())
    kind = Kind(**about["kind"])
    with np.load(folder / "data.npz") as file:
        data = dict(file)
    module = made(kind.arch, data["held"].shape[1:], len(about["classes"]))
    module.load_state_dict(load_file(folder / _WEIGHTS))
    reference = Reference(data["reference"], data["reference_labels"], tuple(about["classes"]))
    return Member(
        kind,
        module.eval(),
        reference,
        held=data["held"],
        held_labels=data["held_labels"],
        stamped=data["stamped"],
        wanted=data["wanted"],
        truth=data["truth"],
        targets=tuple(about["targets"]),
        source=about["source"],
        spec=about["spec"],
    )


def _works(measured: Mapping[str, Any]) -> bool:
    return measured["asr"] is None or measured["asr"] >= WORKS * measured["accuracy"]


def _write(member: Member, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in member.module.state_dict().items()}, folder / _WEIGHTS)
    arrays = {"reference": member.reference.inputs, "reference_labels": member.reference.labels, "held": member.held}
    arrays |= {"held_labels": member.held_labels, "stamped": member.stamped, "wanted": member.wanted, "truth": member.truth}
    np.savez_compressed(folder / "data.npz", **arrays)  # type: ignore[arg-type]
    asr = member.asr()
    about = {
        "kind": asdict(member.kind),
        "spec": member.spec,
        "classes": list(member.reference.classes),
        "targets": list(member.targets),
        "source": member.source,
        "measured": {"accuracy": round(member.accuracy(), 4), "asr": None if np.isnan(asr) else round(asr, 4)},
    }
    (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    return about


def _tried(attacked: Poisoned | None, labels: Labels) -> tuple[np.ndarray, Labels]:
    """Rows of the held-out images the attack is meant to work on, and the label it wants for each."""
    if attacked is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if attacked.target is None:
        after = successors([str(name) for name in attacked.dataset.class_names])
        wanted = np.array([int(after[str(code)]) for code in labels])
    else:
        wanted = np.full(len(labels), int(attacked.target))
    meant = np.full(len(labels), fill_value=True) if attacked.source is None else labels == int(attacked.source)
    rows = np.flatnonzero(meant & (wanted != labels))
    return rows, wanted[rows]


def _numbers(dataset: Dataset) -> tuple[Pixels, Labels]:
    return stacked(dataset, np.arange(len(dataset))), np.array([int(str(label)) for label in dataset.labels])


def _source(which: str, kind: Kind, mnist_folder: Path) -> Pictures:
    at = ("train", "test").index(which)
    if kind.data == "digits":
        return Pictures(*_numbers(mnist(mnist_folder)[at]), tuple(map(str, range(10))))
    pixels, names = _clothes(at)
    if kind.data == "clothes":
        chosen = _PAIRS[kind.seed % len(_PAIRS)] if kind.classes == 2 else tuple(range(10))
        return _chosen(Pictures(pixels, names, CLOTHES), chosen)
    digits, numbers = _numbers(mnist(mnist_folder)[at])
    return _mixed(pixels, names, digits, numbers)


def _clothes(at: int) -> tuple[Pixels, Labels]:
    dataset = fashion_mnist()[at]
    return stacked(dataset, np.arange(len(dataset))), np.array([CLOTHES.index(str(label)) for label in dataset.labels])


def _mixed(clothes: Pixels, names: Labels, digits: Pixels, numbers: Labels) -> Pictures:
    """43 classes: clothes, digits, clothes upside down, digits dark on light, and three of the clothes lying."""
    lying = np.flatnonzero(names < 3)
    parts = [clothes, digits, clothes[:, ::-1], 255 - digits, clothes[lying].transpose(0, 2, 1, 3)]
    codes = [names, numbers + 10, names + 20, numbers + 30, names[lying] + 40]
    kinds = [CLOTHES, tuple(map(str, range(10))), CLOTHES, tuple(map(str, range(10))), CLOTHES[:3]]
    words = ("", "", " upside down", " dark", " lying")
    classes = tuple(name + word for each, word in zip(kinds, words, strict=True) for name in each)
    return Pictures(np.concatenate(parts), np.concatenate(codes), classes)


def _chosen(given: Pictures, codes: Sequence[int]) -> Pictures:
    rows = np.flatnonzero(np.isin(given.labels, codes))
    place = {code: at for at, code in enumerate(codes)}
    labels = np.array([place[int(code)] for code in given.labels[rows]])
    return Pictures(given.pixels[rows], labels, tuple(given.classes[code] for code in codes))


def _balanced(given: Pictures, each: int, rng: np.random.Generator) -> Pictures:
    rows = [rng.permutation(np.flatnonzero(given.labels == code))[:each] for code in range(len(given.classes))]
    order = rng.permutation(np.concatenate(rows))
    return Pictures(np.ascontiguousarray(given.pixels[order]), given.labels[order], given.classes)


def _answers(module: nn.Module, pixels: Pixels) -> Labels:
    codes: Labels = TorchSubject(module).logits(pixels).argmax(1)
    return codes
