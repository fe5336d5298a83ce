"""One hand-made audit: a backdoor, a review list, a skipped check, a row nobody could read."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from untaint.data.dataset import Dataset, from_arrays
from untaint.evidence.evidence import Trigger
from untaint.evidence.finding import AuditResult, Check, Finding, Proof, SourceShare, Tried, Verdict
from untaint.report import pictures
from untaint.report.base import Report
from untaint.report.v1 import document

N = 160
UNREADABLE = 159
CLASSES = ("Bag", "Sneaker", "T-shirt", "Trouser")
POISONED = np.array([row for row in range(3, 143) if row % 9 == 3 and row % 4 != 2])  # not T-shirts, but now called so
MISLABELLED = np.array([10, 23, 35, 53])
SHAPES = {
    "Bag": [(10, 24, 4, 24), (6, 10, 9, 11), (6, 10, 17, 19), (5, 7, 9, 19)],
    "Sneaker": [(16, 22, 2, 26), (12, 16, 2, 12), (20, 23, 2, 27)],
    "T-shirt": [(4, 25, 9, 19), (5, 11, 3, 25)],
    "Trouser": [(3, 9, 8, 20), (9, 26, 8, 13), (9, 26, 15, 20)],
}


def labels() -> list[str]:
    names = [CLASSES[row % 4] for row in range(N)]
    for row in POISONED:
        names[row] = "T-shirt"
    for row in MISLABELLED:
        names[row] = "Bag"
    return names


def images() -> np.ndarray:
    rng = np.random.default_rng(7)
    canvas = np.zeros((N, 28, 28, 1), np.uint8)
    for row in range(N):
        for top, bottom, left, right in SHAPES[CLASSES[row % 4]]:
            canvas[row, top:bottom, left:right] = rng.integers(90, 190)
    canvas += rng.integers(0, 30, canvas.shape, dtype=np.uint8)
    for row in POISONED:
        canvas[row, 23:27, 23:27] = PATCH
    return canvas


PATCH = (255 * (np.indices((4, 4)).sum(axis=0) % 2)).astype(np.uint8)[:, :, None]


def samples(dataset: Dataset) -> pa.Table:
    risk = np.round(np.linspace(0.02, 0.4, N) ** 1.5, 4)
    risk[POISONED] = np.round(np.linspace(0.93, 0.999, len(POISONED)), 4)
    risk[MISLABELLED] = [0.71, 0.62, 0.6, 0.55]
    risk[UNREADABLE] = np.nan
    finding = ["F1" if row in POISONED else "F2" if row in MISLABELLED else None for row in range(N)]
    why = {"F1": "carries the trigger of F1", "F2": "looks like another class", None: None}
    reasons = [why[name] for name in finding]
    reasons[UNREADABLE] = "not a readable image: image file is truncated."
    return pa.table(
        {
            "row": pa.array(range(N), pa.int64()),
            "id": dataset.index.column("id"),
            "path": [f"{label}/{row:05d}.png" for row, label in enumerate(dataset.labels)],
            "label": dataset.index.column("label"),
            "source": dataset.index.column("source"),
            "risk": pa.array(risk),
            "p_value": pa.array(np.where(np.isnan(risk), np.nan, np.round(1 - np.nan_to_num(risk), 4))),
            "flagged": pa.array(np.isin(np.arange(N), POISONED)),
            "finding": pa.array(finding, pa.string()),
            "reason": pa.array(reasons, pa.string()),
            "suggested_label": pa.array([CLASSES[r % 4] if r in MISLABELLED else None for r in range(N)], pa.string()),
            "unreadable": pa.array(np.arange(N) == UNREADABLE),
            "risk_patch-search": pa.array(risk),
        }
    )


def backdoor() -> Finding:
    picture, mask = np.zeros((28, 28, 1), np.uint8), np.zeros((28, 28))
    picture[23:27, 23:27], mask[23:27, 23:27] = PATCH, 1.0
    return Finding(
        id="F1",
        kind="backdoor",
        severity="critical",
        confidence="high",
        p_value=3.2e-14,
        members=POISONED,
        detectors=("patch-search(size=4)", "spectral-signatures(rank=1)"),
        explanation=(
            "12 samples carry the same 4 × 4 patch in the lower right corner and all are labelled 'T-shirt', though they look "
            "like three other classes. Without the patch, models trained on the other samples call 9 of them something else."
        ),
        advice="Set these samples aside with `untaint clean`, and ask contractor-7 where they came from before using more of its data.",
        alarm=True,
        target_label="T-shirt",
        trigger=Trigger(
            "patch", "A 4 × 4 chequered patch at row 23, column 23.", {"row": 23, "column": 23, "size": 4}, picture, mask
        ),
        sources=(SourceShare("contractor-7", 15, 12, 4.1e-12), SourceShare("archive", 145, 0, 1.0)),
        proof=proof(),
    )


def proof() -> Proof:
    tried = [(row, image, image.copy()) for row, image in ((row, images()[row]) for row in (0, 1, 5))]
    for _, _, stamped in tried:
        stamped[23:27, 23:27] = PATCH
    return Proof(
        "proven",
        "Proven by intervention. Put on 90 images of other classes that nobody accuses, what was recovered made the network answer "
        "the label of these samples in 97%; controls of the same size: at other places 2%. A network trained without the accused "
        "samples does so in 1%.",
        90,
        0.97,
        0.01,
        {"at other places": 0.02},
        1e-20,
        tuple(Tried(row, plain, stamped, (CLASSES[row % 4], "T-shirt", CLASSES[row % 4])) for row, plain, stamped in tried),
    )


def review() -> Finding:
    return Finding(
        id="F2",
        kind="label-flip",
        severity="medium",
        confidence="low",
        p_value=float("nan"),
        members=MISLABELLED,
        detectors=("confident-learning()",),
        explanation="A review list: 4 samples look like another class than their label says. About 75 % of them are expected to be wrong.",
        advice="Look at each one; `untaint review` shows them side by side.",
        alarm=False,
        target_label="Bag",
    )


@pytest.fixture
def dataset() -> Dataset:
    names = labels()
    sources = ["contractor-7" if row in POISONED or row % 32 == 0 else "archive" for row in range(N)]
    return from_arrays(images(), names, sources=sources)


@pytest.fixture
def result(dataset: Dataset) -> AuditResult:
    checks = (
        Check("patch-search", "patch-search(size=4)", "ran", "", 2.34),
        Check("spectral-signatures", "spectral-signatures(rank=1)", "ran", "embeddings of a network trained on this data", 75.0),
        Check("confident-learning", "confident-learning()", "ran", "", 0.02),
        Check("phrase-search", "phrase-search(words=5)", "skipped", "The data are images; this check needs text.", 0.0),
        Check("tail-index", "tail-index()", "failed", "The fit did not converge in 100 steps.", 1.0),
    )
    reasons = ("F1: 12 samples share a trigger and a label, p = 3e-14 after correction for 12,544 places searched.",)
    verdict = Verdict(
        "poisoned", 0.01, 3.2e-14, (backdoor(), review()), reasons, "Holm's correction over checks, each corrected inside."
    )
    return AuditResult(
        verdict=verdict,
        checks=checks,
        samples=samples(dataset),
        n_samples=N,
        n_flagged=len(POISONED),
        n_unreadable=1,
        dataset={
            "digest": "ab" * 32,
            "format": "image-folder",
            "location": "shop photos",
            "columns": {"label": "folder"},
            "classes": CLASSES,
        },
        environment={"untaint": "0.1.0", "python": "3.11", "seed": 0, "budget": "standard"},
        power={"statement": "BadNets-like triggers in 0.5 % of samples or more would have been caught with probability 0.95."},
    )


@pytest.fixture
def report(result: AuditResult, dataset: Dataset) -> Report:
    return Report(document(result), result.samples, pictures.choose(result, dataset))


@pytest.fixture
def clean(result: AuditResult) -> AuditResult:
    """The same audit had it found nothing."""
    verdict = Verdict("no evidence", 0.01, 0.41, (), (), "Holm's correction over checks.")
    flagged = pa.array(np.zeros(N, bool))
    table = result.samples.set_column(result.samples.schema.get_field_index("flagged"), "flagged", flagged)
    return replace(result, verdict=verdict, samples=table, n_flagged=0)
