"""Stores to look at, and a dashboard that looks when it is told to."""

import sqlite3
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import made_up
import pytest
from textual.worker import WorkerCancelled

from ltsm.dashboard.app import Dashboard
from ltsm.dashboard.moment import Choice
from ltsm.store import schema, seal
from ltsm.studies import controls

NOW = made_up.NOW + timedelta(hours=3)
NEVER = 3600.0


class Watched:
    """A running dashboard, its pilot, and the ways a test has to drive it."""

    def __init__(self, app, pilot):
        self.app = app
        self.pilot = pilot

    async def look(self):
        """One look at the store, as the clock would make it do, and everything that follows from it."""
        self.app.look()
        await self.settle()

    async def settle(self):
        """Until no thread reads and no message waits."""
        await self._idle()
        await self.pilot.pause()

    async def _idle(self):
        # A key may bring another screen to the front, whose messages then have to be waited for.
        for _ in range(3):
            await self.pilot._wait_for_screen()
        while not all(worker.is_finished for worker in self.app.workers):
            with suppress(WorkerCancelled):  # one whose question another one has replaced
                await self.app.workers.wait_for_complete()
            await self.pilot._wait_for_screen()

    async def press(self, *keys):
        """Press one key after the other, each when all that followed from the one before has happened.

        Pilot's own `press` waits for a silent processor, which takes a tenth of a second for every key.
        """
        for key in keys:
            self.app.simulate_key(key)
            await self._idle()
        await self.settle()

    async def until(self, condition):
        """Settle until something is so: a footer is put together anew some refreshes after its screen."""
        for _ in range(100):
            if condition():
                return
            await self.settle()
        pytest.fail(f"never came to be: {self.text}")

    @property
    def screen(self):
        return self.app.screen

    @property
    def text(self):
        """Everything on the screen, line by line."""
        size = self.app.size
        lines = self.app.screen._compositor.render_strips(size)
        return "\n".join(strip.text for strip in lines)


@asynccontextmanager
async def dashboard(path, *, size=(80, 24), choice=Choice(), beside=(), clock=lambda: NOW):  # noqa: B008 - a value
    """The dashboard on a store, after its first look."""
    app = Dashboard(path, choice, beside=beside, clock=clock, poll_seconds=NEVER)
    async with app.run_test(size=size) as pilot:
        watched = Watched(app, pilot)
        await watched.until(lambda: app.problem is not None or app.moment is not None)
        yield watched


@pytest.fixture
def watching():
    return dashboard


SEEDS = (0, 1, 2)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Three seeds, everything done. Nobody may write to it."""
    return made_up.evaluation(tmp_path_factory.mktemp("finished") / "ltsm.db", seeds=SEEDS)


@pytest.fixture(scope="session")
def underway(tmp_path_factory):
    """A sweep in the middle of its third seed, with a failure and a divergence. Nobody may write to it."""
    return made_up.evaluation(
        tmp_path_factory.mktemp("underway") / "ltsm.db",
        seeds=SEEDS,
        states={
            ("hyperop (100, 15)", 1): "failed",
            ("hyperop (50, 5)", 2): "diverged",
            ("ticket", 2): "running",
            ("hyperop (100, 5)", 2): "interrupted",
            ("hyperop (150, 25)", 2): "pending",
        },
    )


@pytest.fixture(scope="session")
def controlled(tmp_path_factory):
    """Three seeds of the controls, everything done but the last seed's random mask. Nobody may write to it."""
    return made_up.evaluation(
        tmp_path_factory.mktemp("controlled") / "ltsm.db",
        seeds=SEEDS,
        study=controls.study,
        states={("random mask", 2): "failed"},
    )


@pytest.fixture
def multiplied():
    """Make a store's only seed into many: made up one by one, a thousand would take minutes."""

    def multiply(path, seeds):
        database = sqlite3.connect(path, isolation_level=None)
        columns = [
            row[1] for row in database.execute("PRAGMA table_info(run)") if row[1] not in {"id", "seed"}
        ]
        names = ", ".join(columns)
        (runs,) = database.execute("SELECT max(id) FROM run").fetchone()
        database.executescript(f"""
            BEGIN;
            CREATE TEMP TABLE other AS WITH RECURSIVE more(n) AS
                (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < {seeds - 1}) SELECT n FROM more;
            UPDATE mask SET bits = x'';
            INSERT INTO run (id, seed, {names}) SELECT id + {runs} * n, n, {names} FROM run, other WHERE id <= {runs};
            INSERT INTO metric (run_id, iteration, train_loss, val_loss, val_accuracy, test_loss, test_accuracy)
                SELECT run_id + {runs} * n, iteration, train_loss, val_loss, val_accuracy, test_loss, test_accuracy
                FROM metric, other;
            INSERT INTO mask
                (run_id, amount, amount_by, relative_size, layer_sizes, val_loss, val_accuracy, selected, bits)
                SELECT run_id + {runs} * n, amount, amount_by, relative_size, layer_sizes, val_loss, val_accuracy, selected, bits
                FROM mask, other;
            COMMIT;
        """)  # noqa: S608 - numbers and the schema's own names
        database.close()
        store = schema.open_for_writing(path, unchecked=True)
        with store.engine.begin() as connection:
            seal.seal_all(connection)
        store.close()
        return path

    return multiply
