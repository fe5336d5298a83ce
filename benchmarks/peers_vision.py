"""untaint beside ART and cleanlab on the same images in one run: what each finds, what it flags in vain, what it costs.

    python benchmarks/peers_vision.py                           Fashion-MNIST, BadNets 1 %, about 40 minutes on two cores
    python benchmarks/peers_vision.py --n 3000                  a quick look at 3,000 images
    python benchmarks/peers_vision.py --attack "random-flips(rate=0.05)" --out /tmp/flips

Every method runs twice, on the poisoned and on the clean set, each time in a fresh process of its own. Clocks start when
the images lie in memory as one array and the libraries are imported; the training a method needs is included, and listed
beside it. All of them train the same house network: what differs is what they make of it.

Results go to OUT/peers_vision.md and .json. Needs the optional parts 'torch' and 'bench', and Fashion-MNIST.
"""

import os

# Threads that spin while they wait would be counted as work: 35 times the CPU of ART's SVDs on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Nothing large up here: on Linux a child inherits the peak RSS of the process that starts it.
import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

if TYPE_CHECKING:
    from untaint.nets.convnet import ConvNet
    from untaint.types import Labels, Mask, Pixels, Rows

ATTACK = "badnets(rate=0.01)"
RESULTS = Path(__file__).parent / "results"
SETS = ("poisoned", "clean")
FOLDS = 3
PACKAGES = {"untaint": "untaint", "torch": "torch", "art": "adversarial-robustness-toolbox", "cleanlab": "cleanlab"}
"""Import name: distribution name of everything compared or shared."""
LEAST_ASR, MOST_LOST = 0.5, 0.02
"""An attack that takes over fewer test images than this share, or costs more clean accuracy, is not worth ranking detectors on."""


def now() -> np.ndarray:
    """Wall and CPU seconds so far (user and system, children included)."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([time.perf_counter(), sum(each.ru_utime + each.ru_stime for each in spent)])


@final
@dataclass(frozen=True)
class Given:
    """What a method gets: pixels (n, h, w, c), codes (n,) of `names`, rows 0..n-1.

    rate, worst_rate: true poison rate of the poisoned set and of its worst class, for those that must be told.
    training: seconds spent on each network, filled in.  notes: what else a method has to say.
    """

    pixels: "Pixels"
    codes: "Labels"
    rows: "Rows"
    mask: "Mask"
    names: list[str]
    seed: int
    rate: float
    worst_rate: float
    training: list[np.ndarray]
    notes: dict[str, Any]

    def train(self, rows: "Rows") -> "ConvNet":
        """The house network, exactly as the audit trains it."""
        from untaint.nets.fit import FitPlan, fit
        from untaint.nets.training import proxy_spec

        started = now()
        fitted = fit(proxy_spec(self.pixels, len(self.names)), self.pixels, self.codes, rows, FitPlan(seed=self.seed))
        self.training.append(now() - started)
        return fitted.net


def untaint_audit(given: Given) -> "Mask":
    """The whole audit, nothing but the data set given. Training is timed from its first to its last update."""
    from untaint import api
    from untaint.data.dataset import from_arrays

    marks: list[np.ndarray] = []

    def watch(what: str, _done: int, _total: int) -> None:
        if what == "training the proxy":
            marks[min(len(marks), 1) :] = [now()]

    dataset = from_arrays(given.pixels, [given.names[code] for code in given.codes])
    result = api.audit(dataset, seed=given.seed, progress=watch)
    given.training.append(marks[-1] - marks[0])
    given.notes.update(verdict=result.verdict.answer, p_value=result.verdict.p_value)
    flagged: Mask = result.samples.column("flagged").to_numpy()
    return flagged


def activation_clustering(given: Given) -> "Mask":
    """ART's defaults: PCA to 10 dimensions, 2 clusters a class, the smaller one is called poison."""
    from art.defences.detector.poison import ActivationDefence

    return _flagged(ActivationDefence(*_art_inputs(given)).detect_poison())


def spectral_signatures(given: Given) -> "Mask":
    """ART's defaults, but for the poison rate: it is told that of the worst class, on the clean set that of the poisoned one."""
    from art.defences.detector.poison import SpectralSignatureDefense

    return _flagged(SpectralSignatureDefense(*_art_inputs(given), expected_pp_poison=given.worst_rate).detect_poison())


def cleanlab_in_sample(given: Given) -> "Mask":
    """Probabilities of the network for the rows it was trained on."""
    return _label_issues(given, _probabilities(given.train(given.rows), given, given.rows))


def cleanlab_cross_validated(given: Given) -> "Mask":
    """Probabilities of networks that have not seen the row, as cleanlab's manual asks for."""
    from sklearn.model_selection import StratifiedKFold

    found = np.empty((len(given.codes), len(given.names)))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=given.seed)
    for seen, unseen in folds.split(given.rows, given.codes):
        found[unseen] = _probabilities(given.train(seen), given, unseen)
    return _label_issues(given, found)


class Method(NamedTuple):
    """A row of the table. told: what it knows besides images and labels; modules: imported before the clocks start."""

    title: str
    told: str
    detect: Callable[[Given], "Mask"]
    modules: tuple[str, ...] = ("torch",)


_ART = ("torch", "art.estimators.classification", "art.defences.detector.poison")
_CLEANLAB = ("torch", "cleanlab.filter", "sklearn.model_selection")
METHODS = {
    "untaint": Method("untaint audit", "nothing", untaint_audit, ("torch", "untaint.api", "untaint.nets.training")),
    "art-activation": Method("ART ActivationDefence", "nothing", activation_clustering, _ART),
    "art-spectral": Method("ART SpectralSignatureDefense", "true poison rate of the worst class", spectral_signatures, _ART),
    "cleanlab-in-sample": Method("cleanlab, in-sample", "nothing", cleanlab_in_sample, _CLEANLAB),
    "cleanlab-cv": Method(f"cleanlab, {FOLDS}-fold cross-validated", "nothing", cleanlab_cross_validated, _CLEANLAB),
    "random": Method("random filter", "true poison rate", lambda g: np.random.default_rng(g.seed).random(len(g.rows)) < g.rate),
    "perfect": Method("perfect filter", "the truth", lambda given: given.mask.copy()),
}


def _probabilities(net: "ConvNet", given: Given, rows: "Rows") -> np.ndarray:
    from scipy.special import softmax

    from untaint.nets.fit import logits

    found: np.ndarray = softmax(logits(net, given.pixels, rows), axis=1)
    return found


def _label_issues(given: Given, probabilities: np.ndarray) -> "Mask":
    from cleanlab.filter import find_label_issues

    flagged: Mask = find_label_issues(given.codes, probabilities, n_jobs=1)  # one process: its memory is what is measured
    return flagged


def _art_inputs(given: Given) -> tuple[Any, np.ndarray, np.ndarray]:
    """A trained PyTorchClassifier, images and one-hot labels. ART looks at the module registered last: the penultimate one here."""
    from art.estimators.classification import PyTorchClassifier
    from torch import Tensor, nn
    from typing_extensions import override

    from untaint.nets.convnet import to_batch

    class PenultimateLast(nn.Module):
        """The house network with its layers registered in reverse."""

        def __init__(self, net: "ConvNet") -> None:
            super().__init__()
            self.head = net.head
            self.features = net.features

        @override
        def forward(self, images: Tensor) -> Tensor:
            found: Tensor = self.head(self.features(images - 0.5))
            return found

    images, classes = to_batch(given.pixels).contiguous().numpy(), len(given.names)
    net, shape = PenultimateLast(given.train(given.rows)).eval(), images.shape[1:]
    classifier = PyTorchClassifier(net, nn.CrossEntropyLoss(), shape, classes, clip_values=(0.0, 1.0), device_type="cpu")
    if classifier.layer_names[-1] != "features":
        raise SystemExit(f"ART would look at the layer {classifier.layer_names[-1]!r}, not at the penultimate one.")
    return classifier, images, np.eye(classes, dtype=np.float32)[given.codes]


def _flagged(answer: tuple[Any, list[int]]) -> "Mask":
    return np.asarray(answer[1]) == 0


def prepare(folder: Path, attack: str, n: int, seed: int) -> dict[str, Any]:
    """Write both sets as arrays; return the facts about them, among them whether the attack works when nobody defends."""
    from untaint import api
    from untaint.bench.sources import fashion_mnist
    from untaint.bench.victim import measure
    from untaint.errors import BadInput
    from untaint.nets.fit import FitPlan

    train, test = fashion_mnist()
    if not 100 <= n <= len(train):
        raise BadInput(f"--n is a number of images from 100 to {len(train):,}, not {n:,}.")
    clean = train.select(np.sort(np.random.default_rng(seed).permutation(len(train))[:n]))
    poisoned = api.attack(clean, attack, seed=seed)
    names = clean.class_names
    codes = _write(folder / "poisoned", poisoned.dataset, names, poisoned.mask)
    _write(folder / "clean", clean, names, np.zeros(n, dtype=bool))
    plan = FitPlan(seed=seed, patience=100)
    before, after = measure(clean, test, None, None, plan), measure(poisoned.dataset, test, poisoned.stamp, poisoned.target, plan)
    worst = max(float(poisoned.mask[codes == code].mean()) for code in np.unique(codes))
    shares = {"rate": float(poisoned.mask.mean()), "worst_rate": worst, "asr": None if np.isnan(after.asr) else after.asr}
    accuracies = {"accuracy_clean_training": before.clean_accuracy, "accuracy_poisoned_training": after.clean_accuracy}
    counts = {"n": len(codes), "n_poisoned": int(poisoned.mask.sum())}
    return {"attack": attack, "names": names, **counts, **shares, **accuracies}


def _write(folder: Path, dataset: Any, names: list[str], mask: "Mask") -> "Labels":
    from untaint.bench.victim import stacked

    codes: Labels = np.array([names.index(label) for label in dataset.labels], dtype=np.int64)
    folder.mkdir()
    for name, values in {"pixels": stacked(dataset, np.arange(len(dataset))), "codes": codes, "mask": mask}.items():
        np.save(folder / f"{name}.npy", values)
    return codes


def examine(method: Method, folder: Path, facts: dict[str, Any], seed: int) -> dict[str, Any]:
    """Run one method on one set in this process and measure it."""
    from untaint.bench.victim import detection_rates

    for module in method.modules:
        import_module(module)
    pixels, codes, mask = (np.load(folder / f"{name}.npy") for name in ("pixels", "codes", "mask"))
    np.random.seed(seed)  # noqa: NPY002 - ART clusters with NumPy's global state
    rows, training, notes = np.arange(len(codes)), [np.zeros(2)], dict[str, Any]()
    given = Given(pixels, codes, rows, mask, facts["names"], seed, facts["rate"], facts["worst_rate"], training, notes)
    rss, started = _peak(), now()
    flagged = method.detect(given)
    names = ("wall_s", "cpu_s", "training_wall_s", "training_cpu_s")
    seconds = dict(zip(names, [*(now() - started), *np.sum(training, axis=0)], strict=True))
    rates = {name: None if np.isnan(value) else value for name, value in detection_rates(mask, flagged)._asdict().items()}
    return {**rates, "n_flagged": int(flagged.sum()), **seconds, "peak_rss_mb": _peak(), "start_rss_mb": rss, **notes}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6  # Linux counts in KiB


def child(given: argparse.Namespace) -> None:
    """One job of a fresh process: `prepare`, or a method on the set named."""
    from untaint.errors import UntaintError

    work: Path = given.work
    facts = work / "facts.json"
    try:
        if given.only == "prepare":
            facts.write_text(json.dumps(prepare(work, given.attack, given.n, given.seed)))
        else:
            found = examine(METHODS[given.only], work / given.set, json.loads(facts.read_text()), given.seed)
            (work / f"{given.only}-{given.set}.json").write_text(json.dumps(found))
    except UntaintError as error:
        raise SystemExit(f"error: {error}") from None


def spawn(given: argparse.Namespace, work: Path, job: str, kind: str = "") -> str:
    """Run a job in a fresh process; why it failed, empty when it did not."""
    command = [sys.executable, __file__, "--only", job, "--set", kind, "--work", str(work)]
    command += ["--attack", given.attack, "--n", str(given.n), "--seed", str(given.seed)]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode == 0:
        return ""
    print(done.stderr, file=sys.stderr, end="")
    return (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]


def compare(given: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Every method on both sets, one after the other; a method that breaks is a row with the reason."""
    print(f"preparing: {given.attack} on {given.n:,} images, and training victims", flush=True)
    if spawn(given, work, "prepare"):
        raise SystemExit(2)
    facts: dict[str, Any] = json.loads((work / "facts.json").read_text())
    results: dict[str, Any] = {}
    for key, method in METHODS.items():
        results[key] = {"title": method.title, "told": method.told}
        for kind in SETS:
            reason = spawn(given, work, key, kind)
            results[key][kind] = {"failed": reason} if reason else json.loads((work / f"{key}-{kind}.json").read_text())
            print(f"{method.title}, {kind}: {results[key][kind]}", flush=True)
    versions = {name: version(name) for name in PACKAGES.values()}
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    return {"facts": facts, "seed": given.seed, "versions": versions, **machine, "methods": results}


NOTES = """
- SpectralSignatureDefense needs an expected poison rate. It is told the truth, {worst_rate:.2%}, which no user knows; and the same
  on the clean set, as by a user who expects poison and meets none. It flags 1.5 times that share of every class.
- ART sees the penultimate features because the layers are registered in reverse; of a plain module it would see the logits.
- Training: of the house network, the same for all; for untaint from its first to its last update. Imports are not timed.
- Peak RSS is of the whole process, with Python, the libraries and the images; in brackets, how far it rose during the work.
- NumPy's matrix routines use one thread, PyTorch as many as there are cores. One run: seconds vary with what else the machine does.
"""
COSTS = ("wall s (training)", "CPU s (training)", "peak RSS MB (rise)")
HEAD = ("method", "told", "TPR", "FPR", *COSTS, "clean set: FPR", *COSTS)


def markdown(results: dict[str, Any]) -> str:
    """The table, what stands behind it, and what it does not show."""
    rows = results["methods"].values()
    body = [[row["title"], row["told"], *_cells(row["poisoned"]), *_cells(row["clean"])[1:]] for row in rows]
    table = [f"| {' | '.join(cells)} |" for cells in (HEAD, ["---"] * len(HEAD), *body)]
    notes = [f"- {row['title']} on the {kind} set: {why}." for row in rows for kind in SETS if (why := _remark(row[kind]))]
    notes = [NOTES.format(**results["facts"]).rstrip(), *notes]
    parts = ["# Vision: untaint beside its peers\n", *_preface(results), "", *table, *notes]
    return "\n".join(parts) + "\n"


def _preface(results: dict[str, Any]) -> list[str]:
    facts, asr = results["facts"], results["facts"]["asr"]
    before, after = facts["accuracy_clean_training"], facts["accuracy_poisoned_training"]
    head = f"Fashion-MNIST, {facts['n']:,} images, `{facts['attack']}`, seed {results['seed']}: {facts['n_poisoned']:,} poisoned,"
    shares = f"{facts['rate']:.2%} of all, {facts['worst_rate']:.2%} of the worst class."
    works = "It has no trigger" if asr is None else f"Undefended, it takes over {asr:.1%} of test images"
    accuracy = f"accuracy on clean test images is {before:.1%} without it, {after:.1%} with it."
    machine = f"{results['cores']} cores, {results['machine']}, Python {results['python']}; "
    lines = [
        f"{head} {shares}",
        f"{works}; {accuracy}",
        machine + ", ".join(f"{k} {v}" for k, v in results["versions"].items()) + ".",
    ]
    if (asr is not None and asr < LEAST_ASR) or before - after > MOST_LOST:
        lines.append("**The attack hardly works here, or costs much accuracy: read the ranking with care.**")
    return lines


def _cells(found: dict[str, Any]) -> list[str]:
    """TPR, FPR, wall, CPU, memory."""
    if "failed" in found:
        return ["–", "failed", "–", "–", "–"]
    times = [f"{found[f'{what}_s']:.1f} ({found[f'training_{what}_s']:.1f})" for what in ("wall", "cpu")]
    memory = f"{found['peak_rss_mb']:,.0f} (+{found['peak_rss_mb'] - found['start_rss_mb']:,.0f})"
    return [*("–" if found[rate] is None else f"{found[rate]:.2%}" for rate in ("tpr", "fpr")), *times, memory]


def _remark(found: dict[str, Any]) -> str:
    if "verdict" in found:
        return f"its verdict on the whole set is '{found['verdict']}', p = {found['p_value']:.2g}; the peers give none"
    return f"failed, {found['failed']}" if "failed" in found else ""


def main() -> int:
    """Compare, print the table, write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attack", default=ATTACK, help="spec of the attack (%(default)s)")
    parser.add_argument("--n", type=int, default=60_000, help="images, drawn by the seed (%(default)s = all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for peers_vision.md and .json (%(default)s)")
    parser.add_argument("--only", choices=("prepare", *METHODS), help=argparse.SUPPRESS)
    parser.add_argument("--set", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        child(given)
        return 0
    if missing := [PACKAGES[name] for name in PACKAGES if find_spec(name) is None]:
        raise SystemExit(f"error: not installed: {', '.join(missing)}. Install: pip install 'untaint[torch,bench]'")
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        results = compare(given, Path(folder))
    table = markdown(results)
    (given.out / "peers_vision.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "peers_vision.md").write_text(table)
    print(f"\n{table}")
    return int(any("failed" in row[kind] for row in results["methods"].values() for kind in SETS))


if __name__ == "__main__":
    sys.exit(main())
