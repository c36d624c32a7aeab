"""`dashboard`: watch a sweep and read its results in the terminal."""

from __future__ import annotations

import sys

from ltsm.cli import options

HELP = """Examples:

[bold]ltsm dashboard[/]                    beside a sweep, or for its results
[bold]ltsm dashboard --store FILE.db[/]    another store, also a read-only one
[bold]NO_COLOR=1 ltsm dashboard[/]         without colour

It only looks: it writes nothing, and closing it changes nothing. Keys 1 to 5 are its screens, ? lists all keys,
q quits.
"""


def dashboard(
    store: options.Store = options.STORE,
    protocol: options.StoredProtocol = None,
) -> None:
    """Look at a store until the user has seen enough."""
    # A thread that reads the store hands over to the keys after a millisecond instead of five.
    sys.setswitchinterval(0.001)
    # Textual takes a quarter of a second to import, and only this command needs it.
    from ltsm.dashboard.app import Dashboard  # noqa: PLC0415
    from ltsm.store.engine import store_path  # noqa: PLC0415

    Dashboard(store_path(store), protocol).run()
