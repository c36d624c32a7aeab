"""What a study needs for some seeds, as a graph: a run is ready when those that it is made from are done."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from ltsm.store.values import RecipeSpec, RunSpec
from ltsm.studies.recipe import BestOf, Masking, effort
from ltsm.studies.study import RunKey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ltsm.studies.recipe import Recipe
    from ltsm.studies.study import Study


def keys(recipes: Iterable[str], seeds: Iterable[int], *, together: bool = False) -> list[RunKey]:
    """These recipes for every seed, seed by seed; or `together`, recipe by recipe for all seeds."""
    if together:
        every = tuple(seeds)
        return [RunKey(name, seed) for name in recipes for seed in every]
    names = tuple(recipes)
    return [RunKey(name, seed) for seed in seeds for name in names]


def recipe_specs(study: Study, names: Iterable[str]) -> list[RecipeSpec]:
    """Recipes of a study as the store keeps them."""
    identities = study.fingerprints()
    return [RecipeSpec(identities[name], name, study.settings(name)) for name in names]


def run_specs(study: Study, runs: Iterable[RunKey]) -> list[RunSpec]:
    """Runs of a study as the store keeps them."""
    identities = study.fingerprints()
    needs = {n: {role: identities[o] for role, o in r.needs.items()} for n, r in study.recipes.items()}
    return [
        RunSpec(key.seed, identities[key.recipe], recipe.hidden, length(recipe), needs[key.recipe])
        for key in runs
        for recipe in [study.recipes[key.recipe]]
    ]


def length(recipe: Recipe) -> int | None:
    """How long a recipe trains; None where that is another run's best iteration."""
    return None if isinstance(recipe.iterations, BestOf) else recipe.iterations


def of_study(study: Study, runs: Iterable[tuple[str, int]]) -> set[RunKey]:
    """The runs of a study among these, which are given by fingerprint and seed."""
    names = {fingerprint: name for name, fingerprint in study.fingerprints().items()}
    return {RunKey(names[fingerprint], seed) for fingerprint, seed in runs if fingerprint in names}


class Plan:
    """Runs in the order of preference, each ready once all that it needs is done.

    What a step costs does not depend on how many runs there are.

    Args:
        study: whose recipes the runs are of.
        runs: what is to be done.
        done: what needs not be.
    """

    def __init__(self, study: Study, runs: Iterable[RunKey], done: Collection[RunKey]) -> None:
        self._runs = [run for run in dict.fromkeys(runs) if run not in done]
        self._missing: dict[int, int] = {}
        self._waiting: dict[RunKey, list[int]] = {}
        # By recipe, as a GPU advances runs of one shape side by side; each a heap, so that the first comes first;
        # in the order of their places they are one already.
        self._ready: dict[str, list[int]] = {}
        needs = {name: set(recipe.needs.values()) for name, recipe in study.recipes.items()}
        for place, run in enumerate(self._runs):
            needed = {key for name in needs[run.recipe] if (key := RunKey(name, run.seed)) not in done}
            self._missing[place] = len(needed)
            for other in needed:
                self._waiting.setdefault(other, []).append(place)
            if not needed:
                self._ready.setdefault(run.recipe, []).append(place)

    def take(self, size: int = 1) -> list[RunKey]:
        """The first run that is ready, and up to `size` in all of the same recipe; they are the caller's now."""
        firsts = {ready[0]: ready for ready in self._ready.values() if ready}
        if not firsts:
            return []
        ready = firsts[min(firsts)]
        return [self._runs[heappop(ready)] for _ in range(min(size, len(ready)))]

    @property
    def has_ready(self) -> bool:
        """Whether there is a run to take."""
        return any(self._ready.values())

    def finish(self, run: RunKey) -> None:
        """A run is done: those that waited for it alone are ready."""
        for place in self._waiting.pop(run, ()):
            self._missing[place] -= 1
            if not self._missing[place]:
                heappush(self._ready.setdefault(self._runs[place].recipe, []), place)


def expected_iterations(study: Study, name: str) -> int:
    """How long a recipe will train; where another's best iteration decides, a quarter of that one's training."""
    recipe = study.recipes[name]
    if isinstance(recipe.iterations, BestOf):
        return expected_iterations(study, recipe.iterations.of) // 4
    return recipe.iterations


def costs(study: Study) -> Mapping[str, float]:
    """How long a run of each recipe takes, in units of no meaning but their ratio, for the estimate of the time left."""
    return {name: _cost(study, name, recipe) for name, recipe in study.recipes.items()}


def _cost(study: Study, name: str, recipe: Recipe) -> float:
    amounts = len(recipe.mask.amounts) if isinstance(recipe.mask, Masking) else 1
    return amounts + expected_iterations(study, name) * effort(recipe.hidden, recipe.learned)
