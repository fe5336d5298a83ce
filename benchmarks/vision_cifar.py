"""All of CIFAR-10: audited on the CPU, then PreAct-ResNet-18 trained on a GPU with the poison, without what was flagged, and without any.

    python benchmarks/vision_cifar.py audit --data train.parquet --output out            needs a CPU, minutes per attack
    python benchmarks/vision_cifar.py train --data train.parquet --test test.parquet --output out --device cuda

The first part writes what was found and which rows were flagged; the second trains and writes vision_cifar.md. Both go on where
they were stopped. The network is that of He, Zhang, Ren, Sun 2016 (arXiv 1603.05027) with 18 layers, SGD with Nesterov momentum,
one-cycle rate, random crops and mirror images.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from untaint.attacks.base import successors
from untaint.audit.settings import AuditSettings
from untaint.bench.detection import audited, naming
from untaint.bench.suite import poisoned
from untaint.bench.tables import markdown, percent
from untaint.bench.victim import detection_rates, stacked
from untaint.data.dataset import Dataset
from untaint.data.load import load
from untaint.features.settings import BUDGETS
from untaint.types import Labels, Pixels

ATTACKS = (
    "patch-fixed .5 %",
    "blend .15 1 %",
    "warp 8 %",
    "sample-specific 5 %",
    "input-aware 5 %",
    "label-consistent 50 % of class",
)
_BATCH, _RATE, _DECAY, _MOMENTUM = 512, 0.4, 5e-4, 0.9
"""The usual recipe for this network and set, its rate scaled with the batch (.1 for 128)."""
_PAD = 4


@final
class _Block(nn.Module):
    """Normalise, ReLU, convolve, twice; the way around starts behind the first ReLU where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)
        self.one = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.two = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.around = None if stride == 1 and inputs == outputs else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    @override
    def forward(self, images: Tensor) -> Tensor:
        ready = functional.relu(self.first(images))
        beside = images if self.around is None else self.around(ready)
        outputs: Tensor = self.two(functional.relu(self.second(self.one(ready)))) + beside
        return outputs


@final
class PreActResNet18(nn.Module):
    """Input (n, 3, 32, 32) in 0..1, output logits (n, classes)."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False)]
        inputs = 64
        for width in (64, 128, 256, 512):
            layers += [_Block(inputs, width, 1 if width == 64 else 2), _Block(width, width, 1)]
            inputs = width
        self.body = nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.ReLU())
        self.head = nn.Linear(inputs, classes)

    @override
    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body((images - 0.47) / 0.25).mean((2, 3)))
        return logits


def audit_part(given: argparse.Namespace) -> None:
    """Audit the set under every attack and write what was found."""
    clean = load(given.data)
    for name in given.attacks:
        path = given.output / f"{_slug(name)}.json"
        if path.exists():
            continue
        _, made = poisoned(name, clean, given.seed)
        done = audited(made.dataset, AuditSettings(budget=given.budget, seed=given.seed))
        rates = detection_rates(made.mask, done.flagged, made.covers)
        record = {
            "attack": name,
            "images": len(made.mask),
            "poisoned": int(made.mask.sum()),
            "budget": given.budget,
            "seed": given.seed,
            "verdict": done.verdict.answer,
            **rates._asdict(),
            **naming(made, done.verdict)._asdict(),
            "cpu_s": round(done.cpu_s),
            "flagged": np.flatnonzero(done.flagged).tolist(),
        }
        path.write_text(json.dumps(record) + "\n")
        print({key: value for key, value in record.items() if key != "flagged"}, flush=True)


def train_part(given: argparse.Namespace) -> None:
    """Train on the poisoned, the cleaned and the clean set, and measure accuracy and ASR."""
    clean, test = load(given.data), load(given.test)
    names = [str(name) for name in clean.class_names]
    tried, truth = _arrays(test, names)
    for path in sorted(given.output.glob("*.json")):
        record: dict[str, Any] = json.loads(path.read_text())
        if "victims" in record or "attack" not in record:
            continue
        _, made = poisoned(record["attack"], clean, record["seed"])
        after = successors(names)
        label = [made.target or after[names[code]] for code in truth]
        wanted = np.array([names.index(each) for each in label])
        rows = np.flatnonzero((wanted != truth) & ((truth == names.index(made.source)) if made.source else True))
        assert made.stamp is not None
        stamped = made.stamp(tried[rows])
        keep = np.setdiff1d(np.arange(len(made.mask)), record["flagged"])
        sets = {"poisoned": made.dataset, "cleaned": made.dataset.select(keep), "never": clean}
        record["victims"] = {}
        for which, part in sets.items():
            net = trained(*_arrays(part, names), given.epochs, given.device, given.seed)
            measured = (
                np.mean(answers(net, tried, given.device) == truth),
                np.mean(answers(net, stamped, given.device) == wanted[rows]),
            )
            record["victims"][which] = {"accuracy": float(measured[0]), "asr": float(measured[1])}
            print(record["attack"], which, record["victims"][which], flush=True)
        path.write_text(json.dumps(record) + "\n")
        write(given.output, given.epochs)


def trained(pixels: Pixels, labels: Labels, epochs: int, device: str, seed: int) -> nn.Module:
    """The network, trained in mixed precision with everything on the device."""
    torch.manual_seed(seed)
    layout = torch.channels_last
    images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).contiguous()
    wanted = torch.from_numpy(labels).to(device)
    net = PreActResNet18(int(labels.max()) + 1).to(device, memory_format=layout)  # type: ignore[call-overload]
    steps = len(wanted) // _BATCH
    optimizer = torch.optim.SGD(net.parameters(), _RATE, momentum=_MOMENTUM, weight_decay=_DECAY, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps * epochs)
    for _ in range(epochs):
        order = torch.randperm(len(wanted), device=device)
        for step in range(steps):
            batch = order[step * _BATCH : (step + 1) * _BATCH]
            with torch.autocast(device, torch.bfloat16):
                logits = net(_varied(images[batch]).contiguous(memory_format=layout))
            loss = functional.cross_entropy(logits.float(), wanted[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def _varied(images: Tensor) -> Tensor:
    """Bytes as floats in 0..1, cropped at random after padding, half of them mirrored."""
    padded = functional.pad(images.float().div_(255), (_PAD,) * 4)
    n, _, height, width = images.shape
    rows = torch.randint(0, 2 * _PAD + 1, (n, 1), device=images.device) + torch.arange(height, device=images.device)
    columns = torch.randint(0, 2 * _PAD + 1, (n, 1), device=images.device) + torch.arange(width, device=images.device)
    columns = torch.where(torch.rand(n, 1, device=images.device) < 0.5, columns.flip(1), columns)
    return padded[torch.arange(n, device=images.device)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )


@torch.no_grad()
def answers(net: nn.Module, pixels: Pixels, device: str) -> Labels:
    """Class codes (n,)."""
    parts = [
        torch.from_numpy(pixels[at : at + 1000]).to(device).permute(0, 3, 1, 2).float() / 255
        for at in range(0, len(pixels), 1000)
    ]
    codes: Labels = torch.cat([net(part).argmax(1) for part in parts]).cpu().numpy()
    return codes


def write(output: Path, epochs: int) -> None:
    """The table of all attacks that were trained on."""
    rows = []
    for path in sorted(output.glob("*.json")):
        record = json.loads(path.read_text())
        if "victims" not in record:
            continue
        line = {
            "attack": record["attack"],
            "images": f"{record['images']:,}",
            "verdict": record["verdict"],
            "TPR": percent(record["tpr"]),
        }
        line |= {"FPR": percent(record["fpr"]), "right target": str(record["right"]), "CPU s": str(record["cpu_s"])}
        for key, title in (("asr", "ASR"), ("accuracy", "accuracy")):
            line |= {f"{title} {which}": percent(record["victims"][which][key]) for which in ("poisoned", "cleaned", "never")}
        rows.append(line)
    head = f"# All of CIFAR-10\n\nPreAct-ResNet-18, {epochs} epochs. `benchmarks/vision_cifar.py`, its options as in the columns.\n\n"
    (output / "vision_cifar.md").write_text(head + markdown(rows) + "\n")


def _arrays(dataset: Dataset, names: list[str]) -> tuple[Pixels, Labels]:
    return stacked(dataset, np.arange(len(dataset))), np.array([names.index(str(label)) for label in dataset.labels])


def _slug(name: str) -> str:
    return "".join(sign if sign.isalnum() else "-" for sign in name)


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("audit", "train"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--attacks", nargs="+", default=list(ATTACKS))
    parser.add_argument("--budget", choices=BUDGETS, default="fast")
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    (audit_part if given.part == "audit" else train_part)(given)


if __name__ == "__main__":
    main()
