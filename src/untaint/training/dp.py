"""Training with differential privacy: what any few rows can do is bounded, by proof."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from typing_extensions import override

from untaint.errors import BadInput
from untaint.numerics.privacy import NoisySteps, noise_for, withstands
from untaint.training.base import Defence, Hooks, Run, Stage, State, Trait, Update, check_number
from untaint.types import Rows

_EPSILON = 3.0
"""Between 1, where small networks lose several points, and 10, above which little is promised (Ponomareva et al. 2023,
arXiv 2303.00654, section 5.2)."""
_ROWS_EACH = 10
"""delta = 1 / (10 n): a mechanism that gives each row away with that probability gives none away nine times in ten."""
_POISONED, _WRONG = (1, 2, 5, 10), 0.05
"""Numbers of poisoned rows, and the probability of a wrong answer without them, of which the record says what is certain."""
_CLIPS = (1e-12, 1e12)  # gradients and their squares are still numbers in single precision
_WORD = (1 << 64) - 1


@final
@dataclass(frozen=True)
class Dp(Defence):
    """Every row is drawn by chance, its gradient is shortened to a bound, and noise hides what any one row adds: DP-SGD.

    Stops: learning of single rows by heart, provably; and what a few poisoned rows can do, provably, whatever they hold: the record of
    the run says how likely a wrong answer can become with 1, 2, 5 and 10 of them. Rows whose gradient is no number count 0.
    Does not stop: poison of many rows: what is promised shrinks with each. Seeded noise promises nothing against who knows the seed.
    epsilon covers the model, not the record of the run, whose losses and numbers of rows are exact.
    Needs: a loader over numbered rows and the number of epochs; a network without batch normalisation (`untaint.without_batch_norm`
    replaces it); a learning rate and batches larger than usual. epsilon (None and noise None = 3) or noise, its standard deviation over
    clip.  clip: bound on a row's gradient.  delta: None = 1 / (10 × rows).  Rows added or taken away are what is hidden; their number is
    taken as public. With epsilon, updates after the planned steps are refused.
    secure: seed the noise from the operating system, so that nobody can draw it again, the run's owner neither: such a run can't be
    repeated, and its checkpoints hold the generator and must be kept as secret as the rows. It does not make the generator (PCG64) a
    cryptographic one, and hides nothing in the last bits of floating-point numbers (Mironov 2012).
    Cost: that of clipping, and one random number per parameter and step. Accuracy: several points on small data.
    Reference: Abadi et al. 2016, arXiv 1607.00133; on poison Ma, Zhu, Hsu 2019, arXiv 1903.09860; Ganesh 2024, arXiv 2401.10294
    """

    id: ClassVar[str] = "dp"
    stage: ClassVar[Stage] = Stage.NOISE
    traits: ClassVar[frozenset[Trait]] = frozenset({"private"})
    allows_batch_norm: ClassVar[bool] = False
    epsilon: float | None = None
    noise: float | None = None
    clip: float = 1.0
    delta: float | None = None
    secure: bool = False

    @override
    def start(self, run: Run) -> Hooks:
        if self.epsilon is not None and self.noise is not None:
            raise BadInput("dp takes epsilon or noise, and got both.", advice="Leave one out: each follows from the other.")
        check_number("clip", self.clip, *_CLIPS)
        if run.rows is None or run.batch is None:
            raise BadInput(
                "dp draws rows itself and must know how many there are and how many a batch has.",
                advice="Give a torch DataLoader, with a batch size, over a data set that has a length.",
            )
        if not 1 <= run.batch <= run.rows:
            raise BadInput(f"dp can't draw batches of {run.batch:,} from {run.rows:,} rows.", advice="Use smaller batches.")
        rate = run.batch / run.rows
        delta = self._delta(run.rows)
        noise, most = (self.noise, None) if self.noise is not None else (self._measured(run, delta, rate), run.steps)
        check_number("noise", noise, 0)
        state = _Noise(NoisySteps(noise, rate, 0), self.clip, delta, run.rows, most)
        if not self.secure:
            state.seeded(run.rng(f"{self.id}: rows"), run.rng(f"{self.id}: noise"))
        return Hooks(
            sample=state.sample,
            bound=state.bound,
            settle=state.settle,
            admit=None if most is None else state.admit,
            facts=state.facts,
            state=state.state,
            resume=state.resume,
        )

    def _delta(self, rows: int) -> float:
        delta = 1 / (_ROWS_EACH * rows) if self.delta is None else self.delta
        if not 0 < delta < 1 / rows:
            raise BadInput(
                f"delta lies between 0 and 1 / rows, here {1 / rows:.2g}, not {delta!r}: with more, a row may be given away outright.",
                advice=f"Leave it out: {1 / (_ROWS_EACH * rows):.2g} is used then.",
            )
        return delta

    def _measured(self, run: Run, delta: float, rate: float) -> float:
        """The noise that keeps epsilon over all planned steps."""
        if run.steps is None:
            raise BadInput("dp must know the number of epochs to keep an epsilon.", advice="Say epochs=…, or give noise=….")
        return noise_for(_EPSILON if self.epsilon is None else self.epsilon, delta, rate, run.steps)


@final
class _Noise:
    """What one run drew and spent so far."""

    def __init__(self, step: NoisySteps, clip: float, delta: float, rows: int, most: int | None) -> None:
        self.step, self.clip, self.delta, self.rows, self.most = step, clip, delta, rows, most
        self.steps = 0
        self.secure = True
        self.drawing, self.noising = np.random.default_rng(), np.random.default_rng()

    def seeded(self, drawing: np.random.Generator, noising: np.random.Generator) -> None:
        """Two generators: a loader may draw batches ahead, and the noise is to be the same all the same."""
        self.secure, self.drawing, self.noising = False, drawing, noising

    def sample(self) -> Rows:
        """Each row by itself with the same probability: a binomial number of them, and which is all the same."""
        drawn = self.drawing.choice(self.rows, self.drawing.binomial(self.rows, self.step.rate), replace=False, shuffle=False)
        return np.sort(drawn)

    def bound(self, norms: np.ndarray) -> np.ndarray:
        finite = np.isfinite(norms)
        return np.where(finite, self.clip / np.maximum(np.where(finite, norms, 1.0), self.clip), 0.0)

    def settle(self, total: np.ndarray, _rows: int) -> np.ndarray:
        """The sum and noise, over the rows expected: that a batch was small or large is not told. No sum of bounded rows is infinite."""
        self.steps += 1
        noise = self.noising.standard_normal(total.shape) * (self.step.noise * self.clip)
        with np.errstate(over="ignore"):
            noised = np.nan_to_num(total, nan=0.0, posinf=0.0, neginf=0.0) + noise
        return (noised / (self.step.rate * self.rows)).astype(total.dtype)

    def admit(self, _update: Update) -> str | None:
        return "epsilon is spent: all planned steps are done" if self.most is not None and self.steps > self.most else None

    def facts(self) -> dict[str, object]:
        done = NoisySteps(self.step.noise, self.step.rate, self.steps if self.most is None else min(self.steps, self.most))
        epsilon, older = done.epsilon(self.delta), done.renyi_epsilon(self.delta)
        return {
            "epsilon": epsilon if np.isfinite(epsilon) else None,
            "epsilon_renyi": older if np.isfinite(older) else None,
            "delta": self.delta,
            "noise": done.noise,
            "clip": self.clip,
            "rate": done.rate,
            "steps": done.steps,
            "noise_from": "the operating system" if self.secure else "the seed: nothing is promised against who knows it",
            "poisoned_rows": [{"rows": k, "clean": _WRONG, "at_most": done.worst(_WRONG, k)} for k in _POISONED],
            "withstands": str(withstands(done, 1, self.delta, _WRONG)),
        }

    def state(self) -> State:
        return {"steps": np.array(self.steps), "rng": np.array([_words(self.drawing), _words(self.noising)], np.uint64)}

    def resume(self, held: State) -> None:
        _set(self.drawing, held["rng"][0])
        _set(self.noising, held["rng"][1])
        self.steps = int(held["steps"])


def _words(rng: np.random.Generator) -> list[int]:
    """The state of a generator in numbers of 64 bits."""
    held = rng.bit_generator.state
    halves = [held["state"][name] >> shift & _WORD for name in ("state", "inc") for shift in (0, 64)]
    return [*halves, held["has_uint32"], held["uinteger"]]


def _set(rng: np.random.Generator, words: np.ndarray) -> None:
    low, high, step_low, step_high, has_uint32, uinteger = (int(word) for word in words)
    own = {"state": low | high << 64, "inc": step_low | step_high << 64}
    kind = rng.bit_generator.state["bit_generator"]
    rng.bit_generator.state = {"bit_generator": kind, "state": own, "has_uint32": has_uint32, "uinteger": uinteger}
