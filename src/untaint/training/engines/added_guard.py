"""A guard where nothing else in a recipe keeps one row from wrecking the model; the same for every loop."""

from untaint.training import compose
from untaint.training.base import Stage
from untaint.training.compose import Recipe
from untaint.training.guard import Guard

_LIMITING = {Stage.BOUND, Stage.COMBINE, Stage.NOISE}


def with_guard(recipe: Recipe, *, mixes: bool) -> Recipe:
    """The recipe, with a guard before it if it needs one. mixes: the network has layers that mix the rows of a batch.

    Before batch normalisation nothing but a guard helps, since one forward pass ruins its statistics; elsewhere limits of gradients do.
    """
    stages = {defence.stage for defence in recipe.defences}
    limited = bool(stages & _LIMITING) and not mixes
    by_itself = any({"private", "ensemble", "own loop"} & defence.traits for defence in recipe.defences)
    if not recipe.defences or Stage.SCREEN in stages or limited or by_itself:
        return recipe
    return compose.recipe(Recipe((Guard(), *recipe.defences), recipe.name, recipe.about))
