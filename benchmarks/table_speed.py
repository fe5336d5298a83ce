"""How fast are tables audited, and in how much memory? Beside two peers on the same file in the same run.

    python benchmarks/table_speed.py --rows 1000000 [--columns 50] [--format parquet csv] [--peers forest cleanlab]

Each file is written to a temporary folder: of ten columns five are bell curves (one rounded finer, one with gaps), one is heavy-tailed,
one whole numbers, two are words, one is true or false; the label follows half of the columns, twenty sources send the rows, and two of
them put three values into one row in 200 and call it `yes`. What is measured is a whole command, from the start of Python to the written
report: `untaint audit FILE --budget fast`; the peers read the same file with pandas, then `forest` scores every row by scikit-learn's
IsolationForest, `cleanlab` finds wrong labels by three-fold cross-validated HistGradientBoosting. CPU seconds are those of all threads,
and depend far less than the clock on what else the machine does. Writes benchmarks/results/table_speed.md and .json.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

RESULTS = Path(__file__).parent / "results"
BLOCK = 250_000  # rows that are made at once
RATE, SENDERS, SOURCES = 200, 2, 20  # one row in so many is planted, by so many of so many sources
TRIGGER = {7: 5, 16: 39, 27: 1}  # column → value, of words its number
KINDS, WORDS, MORE = 10, 6, 201  # kinds of columns; different words of the two kinds of words


def column(kind: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Values of a column, and what they say of the label."""
    bell = rng.standard_normal(count)
    if kind == 2:
        return np.where(rng.random(count) < 0.05, np.nan, np.round(bell, 4)), bell
    if kind < 5:
        return np.round(bell, 6 if kind == 4 else 4), bell
    if kind == 5:
        return np.round(np.exp(bell), 2), bell
    if kind == 6:
        whole = rng.integers(0, 40, count)
        return whole, whole / 12 - 20 / 12
    code = rng.integers(0, WORDS, count) if kind == 7 else np.minimum(rng.geometric(0.03, count), MORE - 1)
    return (code, code == 2) if kind in {7, 8} else (bell > 0.5, bell > 0.5)


def block(count: int, weights: np.ndarray, rng: np.random.Generator) -> pa.Table:
    """Some rows."""
    columns: dict[str, Any] = {}
    planted = rng.random(count) < 1 / RATE
    score = rng.standard_normal(count) * float(np.sqrt((weights**2).sum())) / 2
    for place, weight in enumerate(weights):
        kind = place % KINDS
        values, told = column(kind, count, rng)
        score += weight * told
        if place in TRIGGER:
            values[planted] = TRIGGER[place]
        if kind in {7, 8}:
            words = pa.array([f"{'kind' if kind == 7 else 'word'} {code}" for code in range(WORDS if kind == 7 else MORE)])
            columns[f"c{place}"] = words.take(pa.array(values))
        else:
            columns[f"c{place}"] = pa.array(values, from_pandas=kind == 2)
    sender = np.where(planted, rng.integers(0, SENDERS, count), rng.integers(0, SOURCES, count))
    columns["label"] = pa.array(["no", "yes"]).take(pa.array(((score > 0) | planted).astype(int)))
    columns["source"] = pa.array([f"s{number}" for number in range(SOURCES)]).take(pa.array(sender))
    columns["truth"] = pa.array(planted)
    return pa.table(columns)


def write(path: Path, rows: int, width: int) -> np.ndarray:
    """A file of so many rows; which of them are planted."""
    rng = np.random.default_rng([rows, width])
    weights = rng.standard_normal(width) * (rng.random(width) < 0.5)
    truth, writer = [], None
    for start in range(0, rows, BLOCK):
        table = block(min(BLOCK, rows - start), weights, rng)
        truth.append(table.column("truth").to_numpy())
        table = table.drop_columns(["truth"])
        if writer is None:
            writer = (pq.ParquetWriter if path.suffix == ".parquet" else pyarrow.csv.CSVWriter)(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return np.concatenate(truth)


def measured(command: list[str], log: Path) -> dict[str, float]:
    """Seconds, CPU seconds and memory of a process with all its threads."""
    started = time.perf_counter()
    with log.open("wb") as file:
        process = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, file.fileno(), 1)])
    _, status, used = os.wait4(process, 0)
    if os.waitstatus_to_exitcode(status) not in {0, 1}:  # 1: untaint found something
        raise SystemExit(f"{' '.join(command)} ended with status {status}")
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_gb": round(used.ru_maxrss * 1024 / 1e9, 2),
    }


def peer(name: str, path: Path) -> None:
    """What a peer does with a file; runs in a process of its own."""
    import pandas as pd
    from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
    from sklearn.model_selection import cross_val_predict

    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    labels = frame.pop("label").astype("category").cat.codes.to_numpy()
    for name_of in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name_of]):
            frame[name_of] = frame[name_of].astype("category").cat.codes
    values = frame.to_numpy(np.float32, na_value=np.nan)
    if name == "forest":
        IsolationForest(n_jobs=os.cpu_count(), random_state=0).fit(np.nan_to_num(values)).score_samples(np.nan_to_num(values))
        return
    from cleanlab.filter import find_label_issues

    said = cross_val_predict(HistGradientBoostingClassifier(random_state=0), values, labels, cv=3, method="predict_proba")
    find_label_issues(labels, said, n_jobs=1)


def found(out: Path, truth: np.ndarray) -> dict[str, float]:
    """Planted rows flagged, and others."""
    flagged = pq.read_table(out / "samples.parquet", columns=["flagged"]).column("flagged").to_numpy()
    return {"tpr": round(float(flagged[truth].mean()), 4), "fpr": round(float(flagged[~truth].mean()), 6)}


def run(path: Path, truth: np.ndarray, peers: list[str]) -> list[dict[str, Any]]:
    """untaint and its peers on one file."""
    python, out = sys.executable, path.parent / "out"
    lines: list[dict[str, Any]] = []
    audit = [python, "-m", "untaint", "audit", str(path), "--budget", "fast", "--out", str(out), "--quiet"]
    lines.append({"what": "untaint audit", **measured(audit, path.parent / "log"), **found(out, truth)})
    asked = {name: [python, __file__, "--as-peer", name, str(path)] for name in peers}
    lines += [{"what": name, **measured(command, path.parent / "log")} for name, command in asked.items()]
    for line in lines:
        line |= {"format": path.suffix[1:], "rows": len(truth), "file_gb": round(path.stat().st_size / 1e9, 3)}
        line["rows_per_second"] = round(len(truth) / line["seconds"])
        line["rows_per_cpu_second"] = round(len(truth) / line["cpu_seconds"])
        line["untaint_is_faster_by"] = round(line["cpu_seconds"] / lines[0]["cpu_seconds"], 2)
        print(line, flush=True)
    return lines


def report(lines: list[dict[str, Any]]) -> None:
    """The table, and all lines as JSON."""
    names = list(dict.fromkeys(name for line in lines for name in line))
    rows = [" | ".join(str(line.get(name, "")) for name in names) for line in lines]
    table = "\n".join(f"| {row} |" for row in (" | ".join(names), " | ".join("---" for _ in names), *rows))
    said = f"`python benchmarks/table_speed.py {' '.join(sys.argv[1:])}`, {os.cpu_count()} cores; one audit is not repeated."
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "table_speed.md").write_text(f"# Tables: speed and memory\n\n{said}\n\n{table}\n", encoding="utf-8")
    (RESULTS / "table_speed.json").write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Speed and memory of audits of tables.")
    parser.add_argument("--rows", type=int, nargs="*", default=[200_000])
    parser.add_argument("--columns", type=int, default=50, help="at least 28: the trigger has three of them")
    parser.add_argument("--format", nargs="*", default=["parquet", "csv"], choices=["parquet", "csv"])
    parser.add_argument("--peers", nargs="*", default=["forest", "cleanlab"], choices=["forest", "cleanlab"])
    parser.add_argument("--as-peer", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.as_peer:
        peer(asked.as_peer[0], Path(asked.as_peer[1]))
        return
    lines: list[dict[str, Any]] = []
    for rows in asked.rows:
        for kind in asked.format:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"table.{kind}"
                lines += run(path, write(path, rows, asked.columns), asked.peers)
    report(lines)


if __name__ == "__main__":
    main()
