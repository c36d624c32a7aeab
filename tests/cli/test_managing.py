"""`runs`, `protocols`, `export`, `db size|prune|rebuild`: on real stores, through the command line."""

import csv
import io
import json
import shutil
import sqlite3
from pathlib import Path

import made_up
import pytest
from small import SMALL, TOML, execution, results, ticking
from sqlalchemy import text
from typer.testing import CliRunner

from ltsm.cli import db, dropping
from ltsm.cli.commands import app
from ltsm.errors import LtsmError, StoreError, UsageError
from ltsm.store import read, schema, seal
from ltsm.studies import controls, paper

STORE = Path("results/ltsm.db")
OTHER = SMALL.changed(hidden=(8, 4), name="other")


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The controls of one small protocol and the paper of another, two seeds each, all of it trained."""
    folder = tmp_path_factory.mktemp("swept")
    with schema.writer(folder / STORE, "test", ticking()()) as store:
        for protocol, study in ((SMALL, controls.study(SMALL)), (OTHER, paper.study(OTHER))):
            execution(store, protocol, study).run()
    return folder / STORE.parent


@pytest.fixture
def room(swept, tmp_path, monkeypatch):
    """A folder of its own with a copy of that store."""
    monkeypatch.chdir(tmp_path)
    for name in ("LTSM_STORE", "LTSM_DATA", "LTSM_PROTOCOL"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(swept, tmp_path / STORE.parent)
    Path("small.toml").write_text(TOML)
    return tmp_path


def ltsm(*arguments, code=0):
    found = CliRunner().invoke(app, arguments)
    if isinstance(found.exception, LtsmError):
        raise found.exception
    assert found.exit_code == code, found.output
    return found.stdout


def as_json(*arguments):
    return json.loads(ltsm(*arguments, "--json"))


def findings():
    store = schema.open_for_reading(STORE)
    found = [*db.damage(store), *db.stuck(store), *db.strangers(store)]
    store.close()
    return found


def runs():
    store = schema.open_for_reading(STORE)
    found = {run.id: run for run in read.runs(store)}
    store.close()
    return found


def weights():
    return {path: path.read_bytes() for path in Path("results/weights").rglob("*.safetensors")}


class TestRuns:
    def test_list_shows_what_a_filter_means(self, room):
        """Of all protocols, or of one; JSON has the columns of an export."""
        shown = ltsm("runs", "list", "kind:ticket")
        assert "1: small on digits" in shown
        assert "2: other on digits" in shown
        assert shown.count("│ ticket") == 4
        found = as_json("runs", "list", "kind:ticket", "seed:1", "--protocol", "other")
        assert (found["schema"], found["version"]) == ("ltsm-runs", 1)
        (run,) = found["runs"]
        assert (run["protocol"], run["seed"], run["recipe"]) == ("other", 1, paper.TICKET)
        assert "no such runs" in ltsm("runs", "list", "state:failed")

    def test_list_calls_a_studys_runs_as_it_does(self, room):
        found = as_json("runs", "list", "--study", "paper", "--protocol", "small")["runs"]
        assert {run["recipe"] for run in found} == {
            n for n in paper.study(SMALL).recipes if "hyperop" not in n
        }

    def test_show_says_what_a_run_is_made_from_and_what_on_it(self, room):
        ticket = next(run for run in runs().values() if run.recipe == paper.TICKET)
        found = as_json("runs", "show", str(ticket.id))
        assert found["schema"] == "ltsm-run"
        assert {need["role"] for need in found["made_from"]} == {"start", "mask"}
        assert {file["role"] for file in found["files"]} == {"initial", "final"}
        assert all(file["bytes"] > 0 for file in found["files"])
        shown = " ".join(ltsm("runs", "show", str(ticket.id)).split())
        assert "made from, mask seed 0 supermask" in shown
        with pytest.raises(StoreError, match="no run 999"):
            ltsm("runs", "show", "999")

    def test_delete_takes_what_is_built_on_a_run_and_nothing_else(self, room):
        """It names that first, and a sweep makes it again to the same bits."""
        before, rows, files = results(STORE), runs(), weights()
        words = ("runs", "delete", "kind:baseline seed:0", "--protocol", "small")
        with pytest.raises(UsageError, match=r"would drop .*: 10 runs") as caught:
            ltsm(*words)
        assert (
            "9 of the runs are built on the others: seed 0 supermask, seed 0 ticket" in caught.value.message
        )
        assert caught.value.hint.startswith("--yes")
        assert "would drop" in ltsm(*words, "--dry-run")
        assert (results(STORE), weights()) == (before, files)
        told = as_json(*words, "--yes")
        assert (told["schema"], told["dry_run"], len(told["runs"])) == ("ltsm-deleted", False, 10)
        assert findings() == []
        left = runs()
        assert set(rows) - set(left) == set(told["runs"])
        assert {i: left[i] for i in left} == {i: rows[i] for i in left}
        gone = files.keys() - weights().keys()
        assert (len(gone), sum(len(files[path]) for path in gone)) == (told["files"], told["bytes"])
        with schema.writer(STORE, "test", ticking()()) as store:
            execution(store, SMALL, controls.study(SMALL)).run()
        assert results(STORE) == before

    def test_delete_wants_to_know_which(self, room):
        with pytest.raises(UsageError, match="which runs"):
            ltsm("runs", "delete", "--yes")
        with pytest.raises(UsageError, match="no such runs"):
            ltsm("runs", "delete", "state:failed", "--yes")

    @pytest.mark.parametrize("answer", [True, False])
    def test_at_a_terminal_it_asks(self, room, monkeypatch, answer):
        asked = []
        monkeypatch.setattr(dropping, "at_a_terminal", lambda: True)
        monkeypatch.setattr(dropping.typer, "confirm", lambda text, **_: asked.append(text) or answer)
        before = len(runs())
        if answer:
            ltsm("runs", "delete", "id:1")
        else:
            with pytest.raises(UsageError, match="nothing was dropped"):
                ltsm("runs", "delete", "id:1")
        assert len(asked) == 1
        assert (len(runs()) < before) == answer

    def test_without_a_store_they_say_what_readers_say(self, room):
        for words in (
            ("runs", "list"),
            ("runs", "delete", "id:1", "--yes"),
            ("protocols", "delete", "1", "--yes"),
        ):
            with pytest.raises(StoreError, match="there is no store at none"):
                ltsm(*words, "--store", "none.db")
            assert not Path("none.db").exists()


class TestProtocols:
    def test_list_and_show(self, room):
        found = as_json("protocols", "list")["protocols"]
        assert [(p["name"], p["seeds"], p["finished"] == p["runs"]) for p in found] == [
            ("small", [0, 1], True),
            ("other", [0, 1], True),
        ]
        assert as_json("protocols", "show", "other")["settings"]["hidden"] == [8, 4]
        lines = ltsm("protocols", "show", "1").splitlines()
        (hidden,) = (line for line in lines if "hidden" in line)
        assert hidden.split("│")[2:4] != ["", ""]
        assert "8,4" in hidden
        (rate,) = (line for line in lines if " lr " in line)
        assert rate.split("│")[3].strip() == ""

    def test_rename_changes_the_label_and_nothing_else(self, room):
        """A sweep of the same settings goes on under the new name; the store is whole."""
        before = results(STORE)
        assert "2: other is now narrow" in ltsm("protocols", "rename", "other", "narrow")
        assert (results(STORE), findings()) == (before, [])
        assert [p["name"] for p in as_json("protocols", "list")["protocols"]] == ["small", "narrow"]
        with schema.writer(STORE, "test", ticking()()) as store:
            execution(store, OTHER).run()
        assert [p["name"] for p in as_json("protocols", "list")["protocols"]] == ["small", "narrow"]

    @pytest.mark.parametrize("name", ["", " ", "7", "mine.toml", "paper", "other", "two\nlines", "x" * 200])
    def test_a_name_that_would_mislead_is_refused(self, room, name):
        with pytest.raises(UsageError):
            ltsm("protocols", "rename", "1", name)
        assert as_json("protocols", "list")["protocols"][0]["name"] == "small"

    def test_a_name_that_it_has_may_stay(self, room):
        ltsm("protocols", "rename", "1", "small")

    def test_delete_gives_its_space_back_and_leaves_the_other(self, room):
        """Rows, files, folders, and the pages of the database."""
        size, files, rows = STORE.stat().st_size, weights(), runs()
        with pytest.raises(UsageError, match="protocols delete small would drop"):
            ltsm("protocols", "delete", "small")
        told = as_json("protocols", "delete", "small", "--yes")
        assert told["protocols"] == [1]
        assert findings() == []
        assert runs() == {i: run for i, run in rows.items() if run.protocol_id == 2}
        assert len(list(Path("results/weights").iterdir())) == 1
        assert sum(map(len, files.values())) - sum(map(len, weights().values())) == told["bytes"]
        assert STORE.stat().st_size < 0.8 * size
        with sqlite3.connect(STORE) as raw:
            assert raw.execute("PRAGMA freelist_count").fetchone() == (0,)
        raw.close()

    def test_while_another_command_writes_nothing_is_deleted(self, room):
        with schema.writer(STORE, "test", ticking()()), pytest.raises(StoreError):
            ltsm("protocols", "delete", "small", "--yes")
        assert len(as_json("protocols", "list")["protocols"]) == 2


class TestExport:
    def test_every_run_is_a_line(self, room):
        rows = list(csv.DictReader(io.StringIO(ltsm("export", "runs"))))
        assert len(rows) == len(runs())
        ltsm("export", "runs", "kind:ticket", "-o", "it.csv", "--protocol", "other")
        assert len(list(csv.DictReader(io.StringIO(Path("it.csv").read_text())))) == 2

    def test_what_is_there_stays_if_it_fails(self, room, monkeypatch):
        """A document is whole or not there: half an export is none."""
        from ltsm.report import records

        Path("it.csv").write_text("before")
        monkeypatch.setattr(records, "curves", failing)
        found = CliRunner().invoke(app, ["export", "curves", "-o", "it.csv"])
        assert isinstance(found.exception, StoreError)
        assert Path("it.csv").read_text() == "before"
        assert list(Path().glob(".it*")) == []

    def test_parquet_wants_a_file(self, room):
        with pytest.raises(UsageError, match="no text for a terminal"):
            ltsm("export", "runs", "--format", "parquet")
        ltsm("export", "masks", "-o", "it.parquet")
        assert Path("it.parquet").read_bytes()[:4] == b"PAR1"


def failing(*_):
    from ltsm.report.records import CurveRecord

    yield CurveRecord(1, 1, "", "", 0, 0, *[0.0] * 9)
    raise StoreError("the disk is gone.")


class TestSpace:
    def test_size_says_what_takes_it(self, room):
        """To the byte: weights by protocol, study and kind of file, and the database by table."""
        found = as_json("db", "size")
        kinds = ("initial", "final", "kept", "checkpoint")
        said = {row["protocol"]: sum(row[kind] for kind in kinds) for row in found["weights"]}
        assert sum(said.values()) == sum(map(len, weights().values()))
        assert set(said) == {"small", "other"}
        assert sum(found["tables"].values()) == STORE.stat().st_size
        assert "mask" in ltsm("db", "size")

    def test_prune_drops_what_can_be_made_again_and_runs_stay_done(self, room):
        """Tables and masks say what they said; weights of tickets and dense networks stay."""
        before, report, size = results(STORE), ltsm("report", "--csv"), as_json("db", "size")
        with pytest.raises(UsageError, match="db prune would drop"):
            ltsm("db", "prune")
        assert "would drop" in ltsm("db", "prune", "--dry-run")
        assert results(STORE) == before
        told = as_json("db", "prune", "--yes")
        assert told["schema"] == "ltsm-db-prune"
        assert findings() == []
        assert {run.state for run in runs().values()} == {"done"}
        assert ltsm("report", "--csv") == report
        left = as_json("db", "size")
        assert all(row["initial"] == 0 for row in left["weights"])
        assert weighed(size) - weighed(left) == told["bytes"]
        finals = {run.recipe for run in runs().values() if run.final is not None}
        assert paper.TICKET in finals
        assert not finals & {paper.INITIAL, paper.BASELINE}
        assert "nothing to drop" in ltsm("db", "prune", "--yes")

    def test_rebuild_brings_the_same_files_back(self, room):
        """By the same paths, to the last bit; nothing else changes, and once is enough."""
        files, before = weights(), results(STORE)
        ltsm("db", "prune", "--yes")
        assert weights().keys() < files.keys()
        assert "again" in ltsm("db", "rebuild")
        assert (weights(), results(STORE), findings()) == (files, before, [])
        assert "nothing to make again" in ltsm("db", "rebuild")

    def test_rebuilding_one_run_makes_what_it_is_made_from_first(self, room):
        """The baseline is trained from the initial training's values, whose final weights nobody needs for that."""
        ltsm("db", "prune", "--yes")
        baseline = next(run for run in runs().values() if run.recipe == paper.BASELINE)
        ltsm("db", "rebuild", f"id:{baseline.id}")
        found = runs()
        initial = next(
            run for run in found.values() if run.recipe == paper.INITIAL and run.seed == baseline.seed
        )
        assert found[baseline.id].final is not None
        assert (initial.initial is not None, initial.final) == (True, None)

    def test_what_comes_out_differently_is_not_believed(self, room):
        """As on another kind of processor: the file stays dropped, and no half of it is left."""
        ltsm("db", "prune", "--yes")
        store = schema.open_for_writing(STORE)
        with store.engine.begin() as connection:
            connection.execute(text("UPDATE file SET sha256 = 'another' WHERE role = 'dropped initial'"))
            seal.seal_all(connection)
        store.close()
        before = weights()
        with pytest.raises(LtsmError, match="come out differently here"):
            ltsm("db", "rebuild", "kind:initial")
        assert weights() == before
        assert findings() == []

    def test_a_sweep_makes_what_it_needs_again(self, room):
        """Another study of the same networks after a pruning ends as one before it does."""
        ltsm("db", "prune", "--yes", "--protocol", "other")
        words = ("sweep", "controls", "--protocol", "other", "--seeds", "0", "--jobs", "1")
        found = CliRunner().invoke(app, words)
        assert found.exit_code == 0, found.output
        assert "made dropped weights again: seed 0 initial training" in found.stderr
        assert {run.state for run in runs().values()} == {"done"}
        assert findings() == []

    def test_what_a_run_that_waits_will_need_stays(self, tmp_path, monkeypatch):
        """Also the initial weights of what others are still to be made from."""
        monkeypatch.chdir(tmp_path)
        states = {(paper.TICKET, 0): "failed"}
        STORE.parent.mkdir()
        made_up.evaluation(STORE, seeds=(0, 1), states=states)
        kept, dropped = (
            {
                run.seed
                for run in runs().values()
                for file in of(run)
                if (run.recipe, file.role) == (paper.INITIAL, "initial")
            }
            for of in (lambda run: run.files, pruned_of)
        )
        assert kept == {0, 1}
        assert dropped == {1}

    def test_an_export_of_a_dropped_ticket_says_what_makes_it_again(self, room):
        ltsm("db", "prune", "--yes")
        with pytest.raises(StoreError, match="were dropped") as caught:
            ltsm("ticket", "export", "--seed", "0", "--protocol", "small", "--out", "x.ticket")
        command = caught.value.hint.split()
        assert command[:3] == ["ltsm", "db", "rebuild"]
        ltsm(*command[1:])
        ltsm("ticket", "export", "--seed", "0", "--protocol", "small", "--out", "x.ticket")

    def test_strays_go_where_no_other_store_may_have_them(self, room):
        stray = Path("results/weights/stray/final.safetensors")
        stray.parent.mkdir()
        stray.write_bytes(b"left by a killed command")
        assert len(findings()) == 1
        ltsm("db", "backup", "copy/other.db", "--no-weights")
        Path("copy/other.db").rename("results/other.db")
        assert "nothing to drop" in ltsm("db", "prune", "--only", "strays", "--yes")
        Path("results/other.db").unlink()
        assert "1 strays" in ltsm("db", "prune", "--only", "strays", "--yes")
        assert not stray.parent.exists()
        assert findings() == []


def pruned_of(run):
    """The run's files that `db prune` would drop."""
    from ltsm.cli.space import Kind, _prunable

    store = schema.open_for_reading(STORE)
    found = _prunable(store, None, list(Kind)).by_run.get(run.id, ())
    store.close()
    return found


def weighed(found):
    kinds = ("initial", "final", "kept", "checkpoint")
    return sum(row[kind] for row in found["weights"] for kind in kinds)
