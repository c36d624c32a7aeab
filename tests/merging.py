"""What tests of `db merge` share: the command line, stores swept apart, and all that lies in a folder."""

import contextlib
import json

from small import SMALL, Silent, execution
from sqlalchemy import text
from typer.testing import CliRunner

from ltsm.cli import db
from ltsm.cli.commands import app
from ltsm.errors import InterruptedRunError, LtsmError, RunError
from ltsm.steps import plan
from ltsm.store import read, schema, seal
from ltsm.studies import paper


def ltsm(*arguments, code=0):
    found = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(found.exception, LtsmError):
        raise found.exception
    assert found.exit_code == code, found.output
    return found.stdout


def told(into, *others):
    """What the command says of each of the others, as JSON, whether runs are different or not."""
    words = ["db", "merge", *others, "--store", into, "--json"]
    found = CliRunner().invoke(app, [str(word) for word in words])
    if found.exception and not isinstance(found.exception, RunError):
        raise found.exception
    return json.loads(found.stdout)["others"]


def merge(into, *others):
    """What became of the runs of each of the others: how many have which verdict."""
    return [{verdict: n for verdict, n in one["runs"].items() if n} for one in told(into, *others)]


def changed(path, *statements):
    """Change a store by hand, as if it had been written so."""
    store = schema.open_for_writing(path, unchecked=True)
    with store.engine.begin() as connection:
        for statement in statements:
            assert connection.execute(text(statement)).rowcount > 0, statement
        seal.seal_all(connection)
    store.close()
    return path


def swept(path, seeds, protocol=SMALL, study=paper.study, recipes=None, backwards=False, **how):
    """A store with these runs of a study, in the usual order or not."""
    protocol = protocol.changed(seeds=seeds, name=protocol.name)
    made = study(protocol)
    runs = plan.keys(made.ancestors(*recipes) if recipes else made.recipes, seeds)
    store = schema.open_for_writing(path)
    try:
        execution(store, protocol, made, runs=runs[::-1] if backwards else runs, **how).run()
    finally:
        store.close()
    return path


def stopped(path, seeds, segments):
    """A store whose sweep was stopped after so many segments, in the middle of a run."""
    watcher = Silent()

    def stop():
        return 130 if sum(event[0] == "advanced" for event in watcher.events) >= segments else 0

    with contextlib.suppress(InterruptedRunError):
        swept(path, seeds, watcher=watcher, stop=stop)
    return path


def listed(folder):
    """Every file below a folder with its content."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(path):
    """Nothing is damaged or stuck, and every file has a row."""
    store = schema.open_for_reading(path)
    assert [*db.damage(store), *db.stuck(store), *db.strangers(store)] == []
    store.close()


def runs_of(path):
    store = schema.open_for_reading(path)
    found = {(run.seed, run.recipe): run for run in read.runs(store)}
    store.close()
    return found
