"""`db merge`: of each run the further one, once; what is different stays as it is, and nothing is made from it."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from merging import changed, check, listed, ltsm, merge, runs_of, stopped, swept, told
from small import SMALL, results

from ltsm.errors import RunError
from ltsm.store import artifacts, claim, read, schema
from ltsm.studies import controls, paper

KEPT = Path(__file__).parents[1] / "store" / "schemas"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

CHAIN = (paper.INITIAL, paper.BASELINE, paper.SUPERMASK, paper.TICKET)
HYPEROPS = 2
ALL = len(CHAIN) + HYPEROPS
MORE = len(controls.study(SMALL).recipes) - len(CHAIN)
"""One of them is made from nothing else."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One seed: the paper's runs, their initial training stopped soon and later, and with the controls, too."""
    folder = tmp_path_factory.mktemp("made")
    whole = swept(folder / "whole" / "ltsm.db", (0,))
    return {
        "whole": whole,
        "soon": stopped(folder / "soon" / "ltsm.db", (0,), 1),
        "later": stopped(folder / "later" / "ltsm.db", (0,), 2),
        "more": swept(shutil.copytree(whole.parent, folder / "more") / "ltsm.db", (0,), study=controls.study),
    }


@pytest.fixture
def stores(made, tmp_path):
    """Copies of them that may be changed; and where there is none."""
    for name, path in made.items():
        shutil.copytree(path.parent, tmp_path / name)
    return {name: tmp_path / name / "ltsm.db" for name in (*made, "fresh", "another")}


def weights_of(path):
    return listed(path.parent / "weights")


class TestFurther:
    def test_a_run_that_has_come_further_takes_the_place(self, stores):
        """Its records, masks and files, and its old checkpoints go. Taken out: `artifacts.remove` in `merge._take`; the
        checkpoints stayed, and no row named them.
        """
        assert merge(stores["soon"], stores["later"]) == [{"further": 1, "same": ALL - 1}]
        assert results(stores["soon"]) == results(stores["later"])
        check(stores["soon"])
        assert merge(stores["soon"], stores["whole"]) == [{"further": 1, "new": ALL - 1}]
        assert results(stores["soon"]) == results(stores["whole"])
        check(stores["soon"])

    def test_a_run_that_is_further_here_stays(self, stores):
        before, files = results(stores["whole"]), weights_of(stores["whole"])
        assert merge(stores["whole"], stores["soon"]) == [{"behind": ALL}]
        assert results(stores["whole"]) == before
        assert weights_of(stores["whole"]) == files

    def test_a_run_that_came_unfinished_goes_on_to_the_same_bits(self, stores):
        assert merge(stores["fresh"], stores["soon"]) == [{"new": 1, "planned": ALL - 1}]
        assert runs_of(stores["fresh"])[0, paper.INITIAL].state == "interrupted"
        swept(stores["fresh"], (0,))
        assert results(stores["fresh"]) == results(stores["whole"])
        check(stores["fresh"])

    def test_what_is_planned_here_is_made_by_what_comes(self, stores):
        """The initial training is here, all else is there. Taken out: `_note`; controls began with files of their own."""
        swept(stores["fresh"], (0,), recipes=(paper.INITIAL,))
        assert merge(stores["fresh"], stores["more"]) == [{"new": ALL + MORE - 1, "same": 1}]
        assert results(stores["fresh"]) == results(stores["more"])
        fresh, more = (sorted(Path(name).name for name in weights_of(stores[of])) for of in ("fresh", "more"))
        assert fresh == more
        assert {"initial.safetensors", "final.safetensors"} <= set(fresh)
        check(stores["fresh"])


DIFFERENT = {
    "the record of iteration 50": "UPDATE metric SET val_loss = val_loss * (1 + 1e-15) WHERE iteration = 50 AND run_id = {}",
    "the record of iteration 300": "UPDATE metric SET val_loss = val_loss * (1 + 1e-15) WHERE iteration = 300 AND run_id = {}",
    "its final weights": "UPDATE file SET sha256 = '00' WHERE role = 'final' AND run_id = {}",
    "how long it is and how it ended": "UPDATE run SET best_iteration = 10 WHERE id = {}",
}


class TestDifferent:
    @pytest.mark.parametrize("what", DIFFERENT)
    def test_a_run_that_is_different_is_named_and_stays(self, stores, what):
        """And nothing comes that is made from the other one. Taken out, one by one: the comparisons in
        `same_bits.difference`; the run was called the same. `sound` in `verdicts`; controls of other weights came.
        """
        initial = runs_of(stores["whole"])[0, paper.INITIAL].id
        changed(stores["whole"], DIFFERENT[what].format(initial))
        before = results(stores["whole"])
        (found,) = told(stores["whole"], stores["more"])
        assert {verdict: n for verdict, n in found["runs"].items() if n} == {
            "same": ALL - 1,
            "different": 1,
            "apart": MORE - 1,
            "new": 1,
        }
        assert [(one["id"], one["recipe"], one["by"]) for one in found["different"]] == [
            (initial, paper.INITIAL, what)
        ]
        assert results(stores["whole"]).items() > before.items()
        with pytest.raises(RunError, match=r"1 run is not the same bits in .* as here") as caught:
            ltsm("db", "merge", stores["more"], "--store", stores["whole"])
        assert f"runs delete id:{initial}" in caught.value.hint

    def test_one_mask_that_is_different_is_enough(self, stores):
        changed(stores["whole"], "UPDATE mask SET bits = zeroblob(length(bits)) WHERE selected")
        (found,) = told(stores["whole"], stores["more"])
        assert [(one["recipe"], one["by"]) for one in found["different"]] == [(paper.SUPERMASK, "its masks")]

    def test_what_was_deleted_comes_from_the_other(self, stores):
        """As the hint says."""
        initial = runs_of(stores["whole"])[0, paper.INITIAL].id
        changed(stores["whole"], DIFFERENT["its final weights"].format(initial))
        ltsm("runs", "delete", f"id:{initial}", "--store", stores["whole"], "--yes")
        assert merge(stores["whole"], stores["more"]) == [{"new": len(CHAIN) + MORE, "same": HYPEROPS}]
        assert results(stores["whole"]) == results(stores["more"])
        check(stores["whole"])


def digests(run):
    return {(file.role, file.iteration, file.artifact.sha256) for file in (*run.files, *run.dropped)}


class TestDropped:
    def test_weights_that_were_dropped_there_come_as_dropped(self, stores):
        """With what they were, by which they are known when they are made again."""
        before = runs_of(stores["whole"])
        ltsm("db", "prune", "--store", stores["whole"], "--yes")
        assert merge(stores["fresh"], stores["whole"]) == [{"new": ALL}]
        check(stores["fresh"])
        after = runs_of(stores["fresh"])
        assert after[0, paper.INITIAL].dropped
        assert {key: digests(run) for key, run in after.items()} == {
            key: digests(run) for key, run in before.items()
        }

    def test_weights_that_were_dropped_here_stay_dropped(self, stores):
        """Also as the start values of runs that come. Taken out: `dropped` of a file's place in `merge`; a row said that
        a file was there which was not.
        """
        ltsm("db", "prune", "--store", stores["whole"], "--yes")
        merge(stores["whole"], stores["more"])
        check(stores["whole"])
        assert runs_of(stores["whole"])[0, paper.INITIAL].dropped
        ltsm("db", "rebuild", "--store", stores["whole"])
        assert results(stores["whole"]) == results(stores["more"])
        check(stores["whole"])


class TestProtocols:
    def test_one_whose_name_is_anothers_gets_a_name_of_its_own(self, stores):
        other = swept(
            stores["fresh"], (0,), SMALL.changed(iterations=100, name="small"), recipes=(paper.INITIAL,)
        )
        assert merge(stores["whole"], other) == [{"new": 1}]
        store = schema.open_for_reading(stores["whole"])
        first, second = read.protocols(store)
        store.close()
        assert (first.name, second.name) == ("small", f"small {second.fingerprint[:8]}")
        assert "100" in ltsm("protocols", "show", second.name, "--store", stores["whole"])

    def test_one_that_has_another_name_keeps_the_one_that_it_has_here(self, stores):
        ltsm("protocols", "rename", "small", "mine", "--store", stores["whole"])
        (found,) = told(stores["whole"], stores["more"])
        (protocol,) = found["protocols"]
        assert (protocol["there"], protocol["here"]) == ("small", "mine")
        assert set(found["runs"]) >= {"new", "same"}
        assert len(results(stores["whole"])) == len(results(stores["more"]))


def test_a_store_that_is_being_written_gives_what_has_ended(stores):
    """Of a run under way the checkpoints may go at any moment: it comes as planned. Taken out: `alive` in `verdicts`."""
    with claim.claim(stores["soon"], "ltsm sweep", NOW):
        (found,) = told(stores["fresh"], stores["soon"])
        assert found["being_written"]
        assert found["runs"]["planned"] == ALL
        assert merge(stores["another"], stores["whole"]) == [{"new": ALL}]
    assert merge(stores["fresh"], stores["soon"], stores["whole"]) == [
        {"new": 1, "same": ALL - 1},
        {"further": 1, "new": ALL - 1},
    ]
    assert results(stores["fresh"]) == results(stores["whole"])


def test_a_dry_run_changes_nothing_and_says_the_same(stores, tmp_path):
    """Of several others it knows that what the first brings is there for the second; of a store that is not there yet
    all comes.
    """
    for into in (stores["soon"], stores["fresh"]):
        before = listed(tmp_path)
        words = ["db", "merge", stores["later"], stores["whole"], "--store", into, "--json"]
        found = json.loads(ltsm(*words, "--dry-run"))
        assert (found["schema"], found["version"], found["dry_run"]) == ("ltsm-merge", 1, True)
        assert "would bring" in ltsm(*words[:-1], "--dry-run")
        # SQLite's own, of every reader
        assert {p: c for p, c in listed(tmp_path).items() if p.suffix not in {".db-shm", ".db-wal"}} == before
        done = json.loads(ltsm(*words))
        assert [one["runs"] for one in done["others"]] == [one["runs"] for one in found["others"]]


def test_stores_in_one_folder_share_no_files(stores, tmp_path):
    """What is deleted in one is there in the other. Taken out: folders by this store's protocol in `merge._take`."""
    first = stores["whole"]
    second = first.with_name("second.db")
    assert merge(second, first) == [{"new": ALL}]
    assert results(second) == results(first)
    ltsm("protocols", "delete", "small", "--store", second, "--yes")
    check_files(first)


def check_files(path):
    store = schema.open_for_reading(path)
    for run in read.runs(store):
        for file in run.files:
            artifacts.check(store.folder, file.artifact)
    store.close()


@pytest.mark.parametrize("version", schema.VERSIONS[:-1])
def test_a_store_of_an_older_version_is_read_as_it_is(version, tmp_path):
    """By way of a copy that is brought up to date: nothing is written to it or beside it."""
    old = tmp_path / "old" / "ltsm.db"
    shutil.copytree(KEPT / version, old.parent)
    before = listed(old.parent)
    fresh = tmp_path / "fresh" / "ltsm.db"
    (found,) = merge(fresh, old)
    assert set(found) == {"new", "planned"}
    assert listed(old.parent) == before
    check(fresh)
    schema.open_for_writing(old).close()
    upgraded, came = results(old), results(fresh)
    # what failed before its first segment is begun anew
    again = {key for key, run in upgraded.items() if run[0] == "failed"}
    assert {key: came[key] for key in upgraded if key not in again} == {
        key: run for key, run in upgraded.items() if key not in again
    }
    assert {came[key][0] for key in again} <= {"pending"}
