"""Groups and evidence as detectors could propose them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from untaint.evidence.evidence import Evidence, Group
from untaint.evidence.finding import Check, Verdict
from untaint.evidence.verdict import Circumstances, decide

N = 1000
FINE = Circumstances(N, 1.0, 0.05, 100)
"""Nothing limits what the audit may say."""


def group(members: Iterable[int], kind: str = "backdoor", p_value: float = 1e-9, **more: Any) -> Group:
    """Passes every gate unless told otherwise."""
    facts: dict[str, Any] = {"effect": 1.0, "minimum_effect": 0.5, "contradiction": 0.9, "explanation": "Because."} | more
    return Group(kind, np.array(list(members), np.int64), 1.0, p_value, **facts)  # type: ignore[arg-type]


def evidence(*groups: Group, n: int = N, **more: Any) -> Evidence:
    return Evidence(np.zeros(n, np.float32), "empirical", groups, **more)


def check(name: str, status: str = "ran", reason: str = "") -> Check:
    return Check(name, name, status, reason, 0.1)  # type: ignore[arg-type]


def decided(found: Mapping[str, Evidence], *more: Check, circumstances: Circumstances = FINE, alpha: float = 0.01) -> Verdict:
    checks = [*(check(name) for name in found), *more]
    return decide(found, checks, circumstances, alpha, np.full(circumstances.n, -1), ())
