"""Many small models, each trained on its own part of the data, elect the answer."""

from dataclasses import dataclass
from typing import ClassVar, final, get_args

from typing_extensions import override

from untaint.errors import BadInput
from untaint.numerics.votes import Rule
from untaint.training.base import Defence, Hooks, Run, Stage, Trait, check_known, check_whole


@final
@dataclass(frozen=True)
class Certify(Defence):
    """Models trained apart on parts of the data elect the answer; with it comes the number of poisoned rows it provably withstands.

    Stops: every attack through the training data, known or not, up to the stated radius of each answer. A row that is inserted,
    deleted, or given another label counts 1; a row whose inputs are replaced counts 2, one deleted and one inserted.
    Does not stop: more rows than the radius; anything that is not a row of training data, such as inputs changed when the model is
    asked, a feature extractor somebody else trained on the same poison, or a number of partitions chosen by looking at results.
    Needs: a few thousand rows; about 200 per model keep each of them useful. Pictures or tables of numbers with class labels. Classes,
    columns, and the size of pictures that are known beforehand: where they are read from the data, a row can change them.
    Cost: accuracy, as each model sees little: 1.5 points on handwritten digits with 250 parts, 3.6 with 1,000. Seconds to train; the memory
    of all the models.
    Reference: Levine and Feizi 2021, arXiv 2006.14768; Wang, Levine and Feizi 2022, arXiv 2202.02628 (`spread`); Rezaei, Banihashem,
    Chegini and Feizi 2023, arXiv 2302.02300 (`rule`)

    partitions: how many rows' worth of parts, so that a model sees 1/partitions of the rows; None = a power of two with 200 to 399 rows
    each. More of them withstand more and answer worse.
    spread: each row is given to so many models, and there are partitions * spread models; 1 = one each.
    rule: `run-off` lets all models choose between the two leading classes; `plurality` takes the class with most votes.

    It is no hook on another network's loop: `untaint.training.engines.partitions.CertifiedEnsemble.fit` trains it.
    """

    id: ClassVar[str] = "certify"
    stage: ClassVar[Stage] = Stage.COMBINE
    traits: ClassVar[frozenset[Trait]] = frozenset({"ensemble", "own loop"})
    backends: ClassVar[frozenset[str]] = frozenset()

    partitions: int | None = None
    spread: int = 1
    rule: Rule = "run-off"

    def check(self) -> None:
        """Raises BadInput for parameters that make no sense."""
        if self.partitions is not None:
            check_whole("partitions", self.partitions, 2)
        check_whole("spread", self.spread, 1)
        check_known("rule", self.rule, get_args(Rule))
        if self.partitions is not None and self.spread > self.partitions:
            raise BadInput(f"a spread of {self.spread} over {self.partitions} partitions.", advice="Give a spread of 1 to 32.")

    @override
    def start(self, run: Run) -> Hooks:
        self.check()
        raise BadInput(
            f"{self.id} trains many models of its own and cannot be hooked into the loop of one.",
            advice="Use CertifiedEnsemble.fit, or untaint train with the recipe 'certified'.",
        )
