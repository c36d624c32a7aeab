"""Two runs as values, for tests that need no store."""

import made_up

from ltsm.store.values import RunRow

PENDING = RunRow(
    id=1,
    protocol_id=1,
    seed=0,
    recipe="hyperop (50, 5)",
    fingerprint="5",
    hidden=(50, 5),
    state="pending",
    iterations=5000,
    iteration=0,
    best_iteration=None,
    parameters=None,
    relative_size=None,
    inputs=None,
    classes=None,
    files=(),
    device=None,
    seconds=0.0,
    started_at=None,
    finished_at=None,
    updated_at=made_up.NOW,
    error=None,
    provenance={},
)
DONE = PENDING._replace(state="done", iteration=5000, seconds=10.0, started_at=made_up.NOW)
