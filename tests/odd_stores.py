"""Made-up evaluations with everything that may be missing or odd: name → arguments of `made_up.evaluation`."""

from ltsm.protocol import PAPER
from ltsm.store.values import RunSpec

SIZES = PAPER.hidden
ODD_NAME = "data/my_50%_<b>&x|*y*.npz"


def mixed():
    """Initial training diverged, a ticket failed, hyperops diverged, stopped or missing, the last seed running."""
    states = {
        RunSpec(0, "initial", SIZES): "diverged",
        RunSpec(1, "ticket", SIZES): "failed",
        RunSpec(2, "hyperop", (50, 5)): "diverged",
        RunSpec(3, "hyperop", (50, 5)): "interrupted",
        RunSpec(9, "initial", SIZES): "running",
        **{RunSpec(9, "hyperop", hidden): "pending" for hidden in PAPER.hyperops},
    }
    return {"states": states, "left_out": ((50, 15),)}


STORES = {
    "full": {},
    "different": {"factor": 1.3},
    "mixed": mixed(),
    "one": {"seeds": (0,)},
    "none": {"seeds": ()},
    "named": {"seeds": (0, 1), "protocol": PAPER.changed(dataset=ODD_NAME, name="50%_<i>&")},
    "digits": {
        "seeds": (0, 1),
        "inputs": 64,
        "protocol": PAPER.changed(
            dataset="digits",
            hidden=(20, 8),
            hyperops=((20, 8), (10, 4)),
            iterations=500,
            initial_iterations=1000,
        ),
    },
}
