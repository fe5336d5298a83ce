"""One point against networks on digits: what is shown is what happened."""

import json

import numpy as np
import pytest
import torch

from untaint.bench import sources
from untaint.demo.one_point import WAYS, shown
from untaint.demo.one_point_page import share
from untaint.demo.one_point_results import Row, Shown
from untaint.demo.one_point_victim import Task, accuracy, kept, network, task_of


@pytest.fixture(scope="module")
def task() -> Task:
    return task_of("digits", *sources.digits())


@pytest.fixture(scope="module")
def done(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    out = tmp_path_factory.mktemp("demo") / "run-1"
    out.mkdir()
    with torch.random.fork_rng():
        return shown(task, out, 0, lambda _line: None, lambda _what, _done, _total: None)


def after(row: Row) -> dict[str, float]:
    return {way: outcome.after for way, outcome in row.outcomes.items()}


def test_one_point_wrecks_the_undefended_and_nobody_else(done: Shown) -> None:
    frozen, far, broken, normed, *controls = done.rows
    assert frozen.before > 0.95
    assert [after(row)["no defence"] < limit for row, limit in ((frozen, 0.03), (far, 0.15), (normed, 0.15))] == [True] * 3
    assert after(broken)["no defence"] == 0
    for row in (frozen, far, broken):
        assert min(after(row)[way] for way in WAYS if way != "no defence") > row.before - 0.01
    assert after(normed)["guard off"] < 0.15, "limits of gradients can't help where no gradient is taken"
    assert min(after(normed)["hardened"], after(normed)["clip off"]) > normed.before - 0.01
    assert all(row.control for row in controls)
    assert len(controls) == 2
    assert done.moved < 0.01


def test_what_stopped_it_is_told(done: Shown) -> None:
    assert done.rows[0].outcomes["hardened"].did[0] == "dropped 1 row: input 0 is far larger than usual"
    assert done.rows[2].outcomes["guard off"].did == ("1 row counted nothing: its gradient was no number",)
    assert done.rows[0].outcomes["no defence"].did == ()


def test_the_page_draws_every_way_and_fetches_nothing(done: Shown) -> None:
    page = done.report.read_text(encoding="utf-8")
    assert page.count("<polyline") == len(WAYS)
    assert "<script" not in page
    assert "http" not in page
    assert f"{share(done.rows[0].outcomes['no defence'].after)}; in the same training, hardened, on" in page
    figures = json.loads((done.report.parent / "one_point.json").read_text(encoding="utf-8"))
    assert [row["before"] for row in figures] == [row.before for row in done.rows]


def test_trained_networks_are_kept_and_a_broken_file_is_made_anew(done: Shown, task: Task) -> None:
    files = sorted(done.report.parent.parent.glob("one-point-*.npz"))
    assert len(files) == 2
    plain = next(file for file in files if len(np.load(file).files) == 6)

    def never() -> torch.nn.Sequential:
        raise AssertionError

    net = kept(plain, network(task), never)
    assert accuracy(net, task.tested, task.truth) == done.rows[0].before
    plain.write_bytes(b"PK")
    fresh = network(task)
    assert kept(plain, network(task), lambda: fresh) is fresh
    again = kept(plain, network(task), never).state_dict()
    assert all(value.equal(again[name]) for name, value in fresh.state_dict().items())
