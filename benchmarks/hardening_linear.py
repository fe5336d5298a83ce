"""Linear models beside the points that wreck them: least trimmed squares, and the spectral filter of gradients.

    make data                               fetch the table of spam first
    python benchmarks/hardening_linear.py   a minute; written to results/hardening_linear.md

Regression: 1,000 rows of 5 columns on a line, and one row far out that says the opposite; R² on the honest rows. Beside the two stand
ordinary least squares and Huber's M-estimator, by weights.
Classification: rows of the table of spam, and rows along the direction from ham to spam, `far` times its length beyond spam's mean, which
say ham. Errors on 1,201 honest rows, three splits.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from untaint.bench.corpora import DATA
from untaint.bench.table_corpora import CORPORA
from untaint.bench.tables import markdown
from untaint.data.columns import columns_of
from untaint.numerics.least_trimmed import least_trimmed
from untaint.numerics.sever import sever_regression, sever_softmax

RESULTS = Path(__file__).parent / "results" / "hardening_linear.md"
TRAIN = 3400  # of 4,601 rows
SEEDS = (0, 1, 2)

Line = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


def ordinary(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Least squares."""
    line = weighted(x, y, np.ones(len(x)))
    return lambda inputs: inputs @ line[:-1] + line[-1]


def huber(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Huber's M-estimator with the constant of the textbook, 50 rounds of weights."""
    line = weighted(x, y, np.ones(len(x)))
    for _ in range(50):
        off = np.abs(y - x @ line[:-1] - line[-1])
        line = weighted(x, y, np.minimum(1, 1.345 * 1.4826 * np.median(off) / np.maximum(off, 1e-300)))
    return lambda inputs: inputs @ line[:-1] + line[-1]


def weighted(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(d + 1,) coefficients and constant."""
    root = np.sqrt(weights)
    return np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]) * root[:, None], y * root)[0]


LINES: Mapping[str, Line] = {
    "ordinary least squares": ordinary,
    "Huber": huber,
    "SEVER, share 0.01": lambda x, y: lambda inputs: sever_regression(x, y, share=0.01).outputs(inputs)[:, 0],
    "least trimmed squares": lambda x, y: least_trimmed(x, y).predict,
}


def regression() -> list[dict[str, object]]:
    """R² on the honest rows by how far out the one row lies."""
    rng = np.random.default_rng(0)
    slopes, x = rng.standard_normal(5), rng.standard_normal((1000, 5))
    y = x @ slopes + 0.005 * rng.standard_normal(1000)
    lines: list[dict[str, object]] = []
    for far in (0.0, 10.0, 1e3, 1e4, 1e6, 1e30):
        bad_x, bad_y = x.copy(), y.copy()
        if far:
            bad_x[0] = far * slopes / np.linalg.norm(slopes)
            bad_y[0] = -bad_x[0] @ slopes
        line: dict[str, object] = {"far": f"{far:g}" if far else "no bad row"}
        for name, fit in LINES.items():
            predicted = fit(bad_x, bad_y)(x[1:])
            line[name] = f"{1 - ((predicted - y[1:]) ** 2).sum() / ((y[1:] - y[1:].mean()) ** 2).sum():.4f}"
        lines.append(line)
    return lines


def table() -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of one plus the cells of the table of spam, and 1 for spam."""
    dataset = CORPORA["spam"](DATA)
    cells = np.stack([np.nan_to_num(column.values) for column in columns_of(dataset, lambda *_: None)], axis=1)
    names = sorted({str(label) for label in dataset.labels})
    codes = np.array([names.index(str(label)) for label in dataset.labels])
    rare = int(np.argmin(np.bincount(codes)))  # 39 % are spam
    return np.log1p(cells.astype(float)), (codes == rare).astype(np.int64)


def classification() -> list[dict[str, object]]:
    """Errors by share of bad rows and how far they lie."""
    x, codes = table()
    lines: list[dict[str, object]] = []
    for share, far in ((0.0, 0.0), (0.01, 1.0), (0.01, 10.0), (0.05, 1.0), (0.05, 3.0), (0.05, 10.0), (0.1, 1.0), (0.1, 3.0)):
        each = [split(x, codes, share, far, seed) for seed in SEEDS]
        plain, filtered, kept = np.mean(each, axis=0)
        lines.append(
            {
                "share of bad rows": f"{share:.0%}",
                "far": f"{far:g}" if share else "–",
                "error, softmax regression": f"{plain:.3f}",
                "error, filtered": f"{filtered:.3f}",
                "bad rows kept": f"{kept:.0%}" if share else "–",
            }
        )
        print(lines[-1], flush=True)
    return lines


def split(x: np.ndarray, codes: np.ndarray, share: float, far: float, seed: int) -> tuple[float, float, float]:
    """Errors without and with the filter, and share of bad rows that it kept."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    train, test = order[:TRAIN], order[TRAIN:]
    ham, spam = (x[train][codes[train] == code].mean(axis=0) for code in (0, 1))
    bad = int(share * TRAIN)
    rows = spam + far * (spam - ham) + 0.1 * x[train].std(axis=0) * rng.standard_normal((bad, x.shape[1]))
    inputs, said = np.concatenate([x[train], rows]), np.append(codes[train], np.zeros(bad, np.int64))
    plain, filtered = (sever_softmax(inputs, said, 2, share=bound) for bound in (0.0, share or 0.05))
    errors = [float((model.outputs(x[test]).argmax(axis=1) != codes[test]).mean()) for model in (plain, filtered)]
    return errors[0], errors[1], float(filtered.kept[TRAIN:].mean()) if bad else 0.0


def main() -> None:
    """Measure and write."""
    parts = [
        "# Linear models\n\n`python benchmarks/hardening_linear.py`",
        "## One row far out\n\nR² on the other 999 rows.\n\n" + markdown(regression()),
        "## Rows that lie together, table of spam\n\nThe filter is told the share, and 5 % where there are none.\n\n"
        + markdown(classification()),
    ]
    RESULTS.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
