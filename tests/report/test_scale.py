"""Stores of many runs: what is asked, how often, and what is kept. Seconds are for benchmarks."""

import made_up
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from ltsm import notation
from ltsm.dashboard.source import Source
from ltsm.protocol import PAPER
from ltsm.report import all as reports
from ltsm.report import evaluation
from ltsm.store import read, schema, write
from ltsm.studies import controls, paper


def waiting(path, seeds, study=paper.study):
    """A store in which every run of so many seeds waits."""
    store = schema.open_for_writing(path)
    protocol_id = write.add_protocol(store, PAPER, made_up.NOW)
    made_up.add_runs(store, protocol_id, study(PAPER), range(seeds))
    store.close()
    return path


@pytest.fixture
def statements():
    """What SQLAlchemy asks of any database, from now on."""
    asked = []

    def remember(_connection, _cursor, statement, *_):
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", remember)
    yield asked
    event.remove(Engine, "before_cursor_execute", remember)


LOOKS = {
    "status": lambda store: (read.tallies(store, 1), read.seeds(store, 1), read.last_changes(store)),
    "report": evaluation.load,
    "dashboard": lambda store: Source(store.path).look(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_as_many_statements_for_many_times_as_many_seeds(tmp_path, statements, look):
    """Nothing is asked run by run. Taken out: `started_at` in `load`; masks were asked for of runs that wait."""
    counts = []
    for seeds in (20, 520):
        store = schema.open_for_reading(waiting(tmp_path / f"{seeds}.db", seeds), unchecked=True)
        statements.clear()
        look(store)
        counts.append(len(statements))
        store.close()
    assert counts[0] == counts[1] < 25


def test_as_many_statements_for_what_is_finished(tmp_path, statements):
    """Results and masks are read at once. Taken out: `read._among`; a statement for every five hundred runs."""
    counts = []
    for seeds in (1, 3):
        store = schema.open_for_reading(
            made_up.evaluation(tmp_path / f"{seeds}.db", seeds=range(seeds)), unchecked=True
        )
        runs = [run.id for run in read.runs(store)]
        many = runs * 400  # as many as ten thousand seeds make masks
        statements.clear()
        evaluation.load(store)
        assert len(read.masks(store, 1, run_ids=many, selected=True)) == seeds
        assert set(read.latest(store, many)) <= set(runs)
        counts.append(len(statements))
        store.close()
    assert counts[0] == counts[1] < 25


def test_a_group_is_worked_out_once(tmp_path, monkeypatch):
    """Every column and comparison asks for it. Taken out: `_once`; ten thousand seeds were sorted fifty times."""
    store = schema.open_for_reading(made_up.evaluation(tmp_path / "ltsm.db", seeds=(0, 1)))
    loaded, asked = evaluation.load(store), []
    store.close()
    real = evaluation.Evaluation._ended
    monkeypatch.setattr(evaluation.Evaluation, "_ended", lambda self, g: asked.append(g) or real(self, g))
    reports.contents(loaded)
    assert asked
    assert len(asked) == len(set(asked))


def test_a_table_reads_only_the_masks_that_runs_ended_with(tmp_path):
    store = schema.open_for_reading(made_up.evaluation(tmp_path / "ltsm.db", seeds=(0, 1)))
    for_tables, for_documents = evaluation.load(store), evaluation.load(store, records=True)
    store.close()
    assert len(for_tables.masks) == 2
    assert [mask for mask in for_documents.masks if mask.selected] == [*for_tables.masks]
    assert len(for_documents.masks) > 2
    assert reports.table(for_tables) == reports.table(for_documents)


class Counted:
    """A run that counts how often it is looked at."""

    looks = 0

    def __init__(self, run):
        self._run = run

    def __getattr__(self, name):
        Counted.looks += 1
        return getattr(self._run, name)

    def __eq__(self, _other):
        raise AssertionError("runs compared with runs")

    __hash__ = None


def test_a_report_looks_at_each_run_a_few_times_however_many_there_are(tmp_path, monkeypatch):
    """Taken out: `ours`; each run was looked for among all, and a report on 110,000 did not end."""
    looks, real = [], read.runs
    monkeypatch.setattr(read, "runs", lambda *a, **k: [Counted(run) for run in real(*a, **k)])
    monkeypatch.setattr(evaluation, "own_runs", lambda _study, runs: tuple(runs))
    for seeds in (10, 40):
        store = schema.open_for_reading(
            waiting(tmp_path / f"{seeds}.db", seeds, controls.study), unchecked=True
        )
        Counted.looks = 0
        sets = Sets()
        monkeypatch.setattr(evaluation, "set", sets, raising=False)
        assert evaluation.load(store, study="controls").others == ()
        looks.append(Counted.looks)
        assert sets.made < 5
        store.close()
    assert looks[1] == 4 * looks[0]


class Sets:
    """`set`, which counts how many are made."""

    made = 0

    def __call__(self, *values):
        self.made += 1
        return set(*values)


def test_what_a_commands_runs_have_in_common_is_kept_once(tmp_path):
    """Their provenance is that of the command; of a hundred thousand copies a dashboard would fill its memory."""
    store = schema.open_for_reading(made_up.evaluation(tmp_path / "ltsm.db", seeds=(0, 1)))
    runs = [run for run in read.runs(store) if run.started_at]
    store.close()
    assert runs[0].provenance == made_up.PROVENANCE
    assert len({id(run.provenance) for run in runs}) == 1
    assert len({id(run.hidden) for run in runs}) == len({run.hidden for run in runs})


def test_only_what_may_steer_a_terminal_is_looked_at_character_by_character(monkeypatch):
    """A document of a hundred thousand runs has forty million characters."""
    seen = []
    real = notation._visible
    monkeypatch.setattr(notation, "_visible", lambda c: seen.append(c) or real(c))
    text = "harmless\n" * 100 + "with \x1b[31m\n\ttab\n"
    assert notation.visible(text) == "harmless\n" * 100 + "with ␛[31m\n\ttab\n"
    assert len(seen) == len("with \x1b[31m") + len("\ttab")
