"""Made-up evaluations with everything that may be missing or odd: name → arguments of `made_up.evaluation`."""

from ltsm.protocol import PAPER
from ltsm.studies import controls, paper

SMALL = paper.hyperop((50, 5))
ODD_NAME = "data/my_50%_<b>&x|*y*.npz"


def mixed():
    """Initial training diverged, a ticket failed, hyperops diverged, stopped or missing, the last seed running."""
    states = {
        (paper.INITIAL, 0): "diverged",
        (paper.TICKET, 1): "failed",
        (SMALL, 2): "diverged",
        (SMALL, 3): "interrupted",
        (paper.INITIAL, 9): "running",
        **{(paper.hyperop(hidden), 9): "pending" for hidden in PAPER.hyperops},
    }
    return {"states": states, "left_out": (paper.hyperop((50, 15)),)}


STORES = {
    "full": {},
    "different": {"factor": 1.3},
    "mixed": mixed(),
    "one": {"seeds": (0,)},
    "none": {"seeds": ()},
    "controls": {"study": controls.study},
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
