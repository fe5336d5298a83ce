"""Gradients of three processes, one of which sends anything."""

import multiprocessing
import queue
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from untaint.errors import BadInput

torch = pytest.importorskip("torch")
dist = pytest.importorskip("torch.distributed")
if not dist.is_available() or not dist.is_gloo_available():
    pytest.skip("this PyTorch has no gloo", allow_module_level=True)

from untaint.training.engines.distributed import average_gradients  # noqa: E402

WORLD = 3
WILD = [1e3, 1e30, np.inf, np.nan]


def net() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))


def work(rank: int, folder: Path, results: Any) -> None:
    """One process: every kind of bad gradient in turn, then all processes bad but one, then no gradient at one process."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=WORLD)
    found: list[Any] = []
    for wild in WILD:
        model = net()
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, wild if rank == 1 else 1.0 + rank / 10)
        dropped = average_gradients(model)
        found.append((dropped, [parameter.grad.unique().tolist() for parameter in model.parameters()]))
    model = net()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, float("nan") if rank else 1.0)
    try:
        average_gradients(model)
    except BadInput as error:
        found.append((str(error), float(next(model.parameters()).grad.sum())))
    model = net()
    if rank:
        model[0].weight.grad = torch.ones_like(model[0].weight)
    average_gradients(model, "median")
    found.append([float(parameter.grad.sum()) for parameter in model.parameters()])
    results.put((rank, found))
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_one_process_of_three_cannot_move_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")  # the name of the machine need not be known to itself
    context = multiprocessing.get_context("fork")  # what is imported need not be again
    results: Any = context.Queue()
    workers = [context.Process(target=work, args=(rank, tmp_path, results), daemon=True) for rank in range(WORLD)]
    for worker in workers:
        worker.start()
    answers: dict[int, list[Any]] = {}
    while len(answers) < WORLD:
        try:
            rank, found = results.get(timeout=60)
        except queue.Empty:
            pytest.fail(f"processes {[worker.exitcode for worker in workers]} gave no answer")
        answers[rank] = found
    for worker in workers:
        worker.join(timeout=30)
    for found in answers.values():
        for (dropped, grads), wild in zip(found[:4], WILD, strict=True):
            assert dropped == (() if np.isfinite(wild) else (1,))
            expected = 1.2 if np.isfinite(wild) else 1.1
            assert grads == [[pytest.approx(expected)]] * 4
        assert found[5] == [12.0, 0, 0, 0]
    assert all("2 of 3 rows are not finite" in found[4][0] for found in answers.values())
    assert answers[0][4][1] == 12.0


def test_without_other_processes_it_says_so() -> None:
    with pytest.raises(BadInput, match="no process group.*init_process_group"):
        average_gradients(net())
