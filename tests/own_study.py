"""A study of one's own, and a store of it whose every number is known."""

import made_up

from ltsm.protocol import PAPER
from ltsm.studies.recipe import Masking, Random, Recipe, Weights
from ltsm.studies.study import Group, Study

LOSSES = {
    "narrow": (0.30, 0.32, 0.34, 0.36, 0.38),
    "wide": (0.20,) * 5,
    "wider": (0.10, 0.12, 0.14, 0.16, 0.18),
}
"""Final losses of the seeds 0 to 4."""
AMOUNTS = (0.25, 0.5)


def study(_protocol=None):
    """Three dense networks of which two are one group, one of them measured half-way too, and a search for a mask."""
    masking = Masking(
        criterion="sign",
        before=Weights("narrow", "initial"),
        after=Weights("narrow"),
        amounts=AMOUNTS,
        by="fraction",
    )
    return Study(
        name="widths",
        title="how wide a network has to be",
        recipes={
            "narrow": Recipe(hidden=(4,), start=Random(("narrow",)), iterations=200),
            "wide": Recipe(hidden=(8,), start=Random(("wide",)), iterations=200),
            "wider": Recipe(hidden=(16,), start=Random(("wider",)), iterations=200),
            "search": Recipe(hidden=(4,), start=Weights("narrow", "initial"), mask=masking, trains="nothing"),
        },
        groups=(
            Group("narrow ones", ("narrow",)),
            Group("wide ones", ("wide", "wider")),
            Group("wide, half-way", ("wide",), until=100),
            Group("masked", ("search",)),
        ),
        reference="wide ones",
    )


def curves(losses=LOSSES):
    """Each run's records: half-way its loss is lower by 0.05, which is its minimum."""
    return {
        (name, seed): [(0, 2.3, 0.1), (100, loss - 0.05, 0.5), (200, loss, 0.6)]
        for name, of_seeds in losses.items()
        for seed, loss in enumerate(of_seeds)
    }


def masks():
    """Of every seed the half is chosen."""
    return {
        ("search", s): [(0.25, 0.25, 2.0, 0.2, False), (0.5, 0.5, 1.5, 0.3 + s / 100, True)] for s in range(5)
    }


def store(path, **how):
    """The store; arguments as `made_up.exact`."""
    how = {"curves": curves(), "masks": masks()} | how
    return made_up.exact(
        path, study(), how.pop("curves"), protocol=PAPER.changed(name="own", hidden=(4,)), **how
    )
