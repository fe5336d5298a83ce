"""Our accounts of noisy training beside those of dp-accounting and Opacus: epsilon, and the seconds it takes.

    pip install dp-accounting==0.6.0 opacus==1.6.0       in an environment of its own: dp-accounting wants attrs < 24
    python benchmarks/hardening_epsilon.py               three minutes, nearly all of them theirs; written to results/hardening_epsilon.md

Libraries that are not installed are left out of the table.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from scipy.stats import binom

from untaint.numerics import renyi
from untaint.numerics.privacy import NoisySteps

RESULTS = Path(__file__).parent / "results" / "hardening_epsilon.md"
BAR = 1e-3
"""The most our epsilon may differ from dp-accounting's."""


class Case(NamedTuple):
    """A training. rows: how many are hidden together."""

    noise: float
    rate: float
    steps: int
    delta: float
    rows: int = 1


CASES = (
    Case(1.1, 256 / 60_000, 14_062, 1e-5),  # Opacus' MNIST example
    Case(0.7, 0.01, 1_000, 1e-5),
    Case(4.0, 2048 / 60_000, 1_200, 1e-5),
    Case(1.0, 0.5, 50, 1e-6),
    Case(0.5, 0.001, 20_000, 1e-6),
    Case(2.0, 0.1, 3, 1e-4),
    Case(4.0, 2048 / 60_000, 1_200, 1e-5, rows=2),
    Case(4.0, 2048 / 60_000, 1_200, 1e-5, rows=10),
    Case(1.1, 256 / 60_000, 14_062, 1e-5, rows=5),
)


def ours(case: Case) -> float:
    """By the distribution of the privacy loss."""
    return NoisySteps(case.noise, case.rate, case.steps).epsilon(case.delta, case.rows)


def ours_renyi(case: Case) -> float:
    """By Rényi's divergence, of any order."""
    return NoisySteps(case.noise, case.rate, case.steps).renyi_epsilon(case.delta)


def ours_whole(case: Case) -> float:
    """By Rényi's divergence of whole orders."""
    orders = _whole()
    return renyi.epsilon(case.steps * renyi.divergences(case.noise, case.rate, orders), case.delta, orders)


def dp_accounting_loss(case: Case) -> float:
    """dp-accounting's `PLDAccountant`."""
    from dp_accounting import dp_event as events
    from dp_accounting.pld import PLDAccountant

    event: Any = events.PoissonSampledDpEvent(case.rate, events.GaussianDpEvent(case.noise))
    if case.rows > 1:
        drawn = range(case.rows + 1)
        event = events.MixtureOfGaussiansDpEvent(
            case.noise, list(drawn), [float(binom.pmf(j, case.rows, case.rate)) for j in drawn]
        )
    return float(PLDAccountant().compose(events.SelfComposedDpEvent(event, case.steps)).get_epsilon(case.delta))


def dp_accounting_whole(case: Case) -> float:
    """dp-accounting's `RdpAccountant`, whole orders."""
    return _rdp(case, _whole())


def dp_accounting_any(case: Case) -> float:
    """dp-accounting's `RdpAccountant` as it comes."""
    return _rdp(case, None)


def opacus(case: Case) -> float:
    """Opacus' Rényi analysis, any order."""
    from opacus.accountants.analysis import rdp

    orders = renyi.ORDERS.tolist()
    spent = rdp.compute_rdp(q=case.rate, noise_multiplier=case.noise, steps=case.steps, orders=orders)
    return float(rdp.get_privacy_spent(orders=orders, rdp=spent, delta=case.delta)[0])


def _whole() -> Any:
    return renyi.ORDERS[renyi.ORDERS % 1 == 0]


def _rdp(case: Case, orders: Any) -> float:
    from dp_accounting import dp_event as events
    from dp_accounting.rdp import RdpAccountant

    event = events.PoissonSampledDpEvent(case.rate, events.GaussianDpEvent(case.noise))
    accountant: Any = RdpAccountant() if orders is None else RdpAccountant(orders)
    return float(accountant.compose(events.SelfComposedDpEvent(event, case.steps)).get_epsilon(case.delta))


def _told(account: Callable[[Case], float], case: Case) -> tuple[float, str]:
    begin = time.perf_counter()
    epsilon = account(case)
    return epsilon, f"{epsilon:.5f} ({time.perf_counter() - begin:.2f} s)"


def _table(
    title: str, accounts: Sequence[tuple[str, Callable[[Case], float]]], cases: Sequence[Case], *, held: bool
) -> list[str]:
    lines = [f"## {title}", "", "| noise | rate | steps | delta | rows | " + " | ".join(name for name, _ in accounts) + " |"]
    lines.append("|" + "---|" * (5 + len(accounts)))
    for case in cases:
        told = [_told(account, case) for _, account in accounts]
        if held:
            assert all(abs(value - told[0][0]) <= BAR for value, _ in told), (title, case, told)
        lines.append(
            f"| {case.noise:g} | {case.rate:.5f} | {case.steps:,} | {case.delta:g} | {case.rows} | "
            + " | ".join(said for _, said in told)
            + " |"
        )
        print(lines[-1], flush=True)
    return [*lines, ""]


def main() -> None:
    """Compare and write the tables."""
    warnings.simplefilter("ignore")
    theirs = find_spec("dp_accounting") is not None
    beside = find_spec("opacus") is not None
    single = [case for case in CASES if case.rows == 1]
    tight: list[tuple[str, Callable[[Case], float]]] = [("untaint", ours), *([("dp-accounting", dp_accounting_loss)] * theirs)]
    whole: list[tuple[str, Callable[[Case], float]]] = [
        ("untaint", ours_whole),
        *([("dp-accounting", dp_accounting_whole)] * theirs),
    ]
    old: list[tuple[str, Callable[[Case], float]]] = [
        ("untaint", ours_renyi),
        *([("Opacus", opacus)] * beside),
        *([("dp-accounting", dp_accounting_any)] * theirs),
    ]
    lines = [
        "# Epsilon, beside the libraries that state it",
        "",
        "`python benchmarks/hardening_epsilon.py`, one core. Each row a training; its epsilon at delta, and the seconds that took.",
        f"The script stops if the first two tables differ by more than {BAR:g} anywhere.",
        "",
        *_table("Distribution of the privacy loss: what is stated as epsilon", tight, CASES, held=True),
        *_table("Rényi divergences of whole orders", whole, single, held=True),
        *_table("Rényi divergences of any order", old, single, held=False),
        "Ours is the divergence itself (equal to Opacus' to six digits, and to an integral of thirty digits). dp-accounting 0.6.0 adds up",
        "the absolute values of a series with alternating signs for orders that are not whole, and so states a little more.",
        "",
    ]
    RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
