"""A study: recipes by name, and what is compared in its tables and figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ltsm.errors import UsageError
from ltsm.notation import quoted
from ltsm.settings import check_layers
from ltsm.studies import recipe as recipes_
from ltsm.studies.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ltsm.studies.recipe import Covers

LONGEST_NAME = 100


class RunKey(NamedTuple):
    """A run of a study: which recipe, by its name, and for which seed."""

    recipe: str
    seed: int


@dataclass(frozen=True, slots=True)
class Group:
    """What is one line of the study's table and one curve of its figures.

    Attributes:
        label: as tables call it.
        recipes: whose runs, usually one.
        until: measured at this iteration of the training and not at its end; None: at its end.
    """

    label: str
    recipes: tuple[str, ...]
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Recipes that refer to each other by name, in the order in which they are run.

    Attributes:
        name: as the command line calls it.
        title: what it is about, in a few words.
        recipes: every recipe that it needs, by its name.
        groups: what its tables and figures compare; without any, every recipe that is trained.
        reference: the label of the group that the others are compared with; empty: the first.
        seeds_together: a recipe is run for all seeds before the next one, as suits long chains; else seed by seed, so
            that tables fill evenly.
        passing: recipes whose weights after training are for one other recipe alone: they are dropped when that one's
            run is done, and can be made again.

    Raises:
        UsageError: a recipe that cannot be, or refers to one that is not there; the recipe is named.
    """

    name: str
    title: str
    recipes: Mapping[str, Recipe]
    groups: tuple[Group, ...] = ()
    reference: str = ""
    seeds_together: bool = False
    passing: frozenset[str] = frozenset()
    _identities: dict[str, tuple[str, dict[str, Any]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for name, recipe in self.recipes.items():
            _check(name, recipe)
        groups = self.groups or tuple(
            Group(n, (n,)) for n, r in self.recipes.items() if r.trains != "nothing"
        )
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "reference", self.reference or (groups[0].label if groups else ""))
        for name in self.recipes:
            self._identify(name, ())
        self._check_groups()

    def fingerprints(self) -> dict[str, str]:
        """Each recipe's identity: SHA-256 of all that makes it, its ancestors included."""
        return {name: self._identities[name][0] for name in self.recipes}

    def settings(self, name: str) -> dict[str, Any]:
        """A recipe as plain JSON values; ancestors by their fingerprints."""
        return self._identities[name][1]

    def name_of(self, fingerprint: str) -> str | None:
        """What this study calls the recipe of that fingerprint; None for a recipe that is not its own."""
        return next((name for name, (found, _) in self._identities.items() if found == fingerprint), None)

    def covers(self, name: str) -> Covers:
        """What the mask of a recipe covers, its own or the one that it is made of; all where it has none."""
        mask = self.recipes[name].mask
        if isinstance(mask, recipes_.Mask):
            return self.covers(mask.of)
        return "all" if mask is None else mask.covers

    def ancestors(self, *names: str) -> dict[str, Recipe]:
        """These recipes and all that they need, in the study's order."""
        wanted, waiting = set[str](), list(names)
        while waiting:
            name = waiting.pop()
            if name not in wanted:
                wanted.add(name)
                waiting += self.recipes[name].needs.values()
        return {name: recipe for name, recipe in self.recipes.items() if name in wanted}

    def _identify(self, name: str, behind: tuple[str, ...]) -> str:
        if name in behind:
            raise _refusal(behind[-1], f"needs {quoted(name)}, which needs it in turn")
        if name not in self._identities:
            recipe = self.recipes[name]
            for needed in recipe.needs.values():
                if needed not in self.recipes:
                    raise _refusal(name, f"needs {quoted(needed)}, which the study does not have")
            needs = {needed: self._identify(needed, (*behind, name)) for needed in recipe.needs.values()}
            settings = recipes_.settings(recipe, needs)
            self._identities[name] = (recipes_.fingerprint(settings), settings)
        return self._identities[name][0]

    def _check_groups(self) -> None:
        for group in self.groups:
            if unknown := [name for name in group.recipes if name not in self.recipes]:
                raise UsageError(
                    f"the group {quoted(group.label)} has the recipe {quoted(unknown[0])}, which the study does not have."
                )
        labels = [group.label for group in self.groups]
        if self.groups and self.reference not in labels:
            raise UsageError(
                f"the reference {quoted(self.reference)} is no group: there are {', '.join(labels)}."
            )


def _check(name: str, recipe: Recipe) -> None:
    """Refuse what no study can have."""
    if not isinstance(recipe, Recipe):
        raise _refusal(name, f"is no Recipe but {quoted(recipe)}")
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise _refusal(name, f"needs a printable name of at most {LONGEST_NAME} characters")
    check_layers(f"the recipe {quoted(name)}", recipe.hidden, "e.g. hidden=(300, 100)")
    if recipe.trains == "nothing" and recipe.mask is None:
        raise _refusal(name, "trains nothing and makes no mask")
    learned = isinstance(recipe.mask, recipes_.Learned)
    if learned != (recipe.trains == "mask"):
        raise _refusal(name, 'needs mask=Learned(…) for trains="mask", and the reverse')
    if learned and (recipe.pruned != "zero" or recipe.after is not None):
        raise _refusal(name, "learns its mask: what that prunes is 0")
    if isinstance(recipe.mask, recipes_.Masking):
        _check_masking(name, recipe, recipe.mask)


def _check_masking(name: str, recipe: Recipe, masking: recipes_.Masking) -> None:
    if not any(map(masking.selectable, masking.amounts)):
        raise _refusal(name, "has no amount that may be chosen")
    if len(set(masking.amounts)) != len(masking.amounts):
        raise _refusal(name, "has an amount twice")
    if masking.output and (len(masking.output) != len(masking.amounts) or masking.scope != "layer"):
        raise _refusal(name, "needs an output amount for each of its amounts, and the scope layer")
    if recipe.after is not None:
        raise _refusal(name, "has weights after training twice: its mask's are meant")


def _refusal(name: str, what: str) -> UsageError:
    return UsageError(f"the recipe {quoted(name)} {what}.", "ltsm study show paper shows one that works")
