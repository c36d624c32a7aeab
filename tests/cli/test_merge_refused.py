"""`db merge`: what is no other store is refused in a sentence with the next command, and nothing is changed."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from merging import changed, listed, ltsm, merge, swept, told
from small import results

from ltsm.errors import LtsmError, StoreError
from ltsm.store import schema, write
from ltsm.studies import paper


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two stores with a run each."""
    folder = tmp_path_factory.mktemp("made")
    return {seed: swept(folder / str(seed) / "ltsm.db", (seed,), recipes=(paper.INITIAL,)) for seed in (0, 1)}


@pytest.fixture
def own(made, tmp_path):
    shutil.copytree(made[0].parent, tmp_path / "own")
    return tmp_path / "own" / "ltsm.db"


@pytest.fixture
def other(made, tmp_path):
    shutil.copytree(made[1].parent, tmp_path / "other")
    return tmp_path / "other" / "ltsm.db"


def by_hand(path, *statements):
    """Change a store without its seals."""
    database = sqlite3.connect(path)
    for statement in statements:
        assert database.execute(statement).rowcount
    database.commit()
    database.close()


def weights(path):
    return min((path.parent / "weights").rglob("final.safetensors"))


def missing(own, other):
    other.unlink()


def a_folder(own, other):
    other.unlink()
    other.mkdir()


def no_store(own, other):
    other.write_text("a text")


def empty(own, other):
    shutil.rmtree(other.parent / "weights")
    other.write_bytes(b"")


def foreign(own, other):
    other.unlink()
    by_hand(other, "CREATE TABLE album (name)")


def newer(own, other):
    by_hand(other, "UPDATE alembic_version SET version_num = '0999'")


def damaged(own, other):
    by_hand(other, "UPDATE metric SET val_loss = val_loss * (1 + 1e-15) WHERE iteration = 50")


def itself(own, other):
    other.unlink()
    shutil.copytree(own.parent / "weights", other.parent / "weights", dirs_exist_ok=True)
    other.hardlink_to(own)


def a_link_to_itself(own, other):
    other.unlink()
    other.symlink_to(own)


def damaged_weights(own, other):
    content = bytearray(weights(other).read_bytes())
    content[-1] ^= 1
    weights(other).write_bytes(content)


def no_weights(own, other):
    weights(other).unlink()


def outside(own, other):
    Path(other.parent / "secret").write_text("theirs")
    changed(other, "UPDATE file SET path = '../own/ltsm.db' WHERE role = 'final'")


def other_data(own, other):
    changed(other, "UPDATE run SET provenance = json_set(provenance, '$.data_sha256', 'another')")


def another_fingerprint(own, other):
    changed(other, "UPDATE protocol SET settings = json_set(settings, '$.lr', 0.5)")


def another_recipe(own, other):
    changed(other, "UPDATE recipe SET settings = json_set(settings, '$.iterations', 999)")


def a_role_that_leads_elsewhere(own, other):
    changed(other, "UPDATE file SET role = '../../../final' WHERE role = 'final'")


def a_seed_that_is_text(own, other):
    changed(other, "UPDATE run SET seed = '../../0'")


def a_need_of_another_seed(own, other):
    changed(
        swept(other, (2,), recipes=(paper.INITIAL,)),
        "INSERT INTO need SELECT min(id), 'start', max(id) FROM run",
    )


def nothing_where_something_must_be(own, other):
    """SQLite refuses it as long as the table says so."""
    by_hand(
        other,
        "PRAGMA writable_schema=ON",
        "UPDATE sqlite_schema SET sql = replace(sql, 'seed INTEGER NOT NULL', 'seed INTEGER') WHERE name = 'run'",
    )
    changed(other, "UPDATE run SET seed = NULL")


def an_unknown_setting(own, other):
    changed(other, "UPDATE protocol SET settings = json_set(settings, '$.colour', 'red')")


def a_circle(own, other):
    changed(other, "INSERT INTO need SELECT id, 'start', id FROM run")


def no_rights(own, other):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    other.chmod(0)


REFUSED = {
    missing: ("there is no store at", "name the other store's file"),
    a_folder: ("cannot read the store", "--store"),
    no_store: ("is no ltsm store", "another"),
    empty: ("is empty", ""),
    foreign: ("is a database, but not one of ltsm's", "another"),
    newer: ("has version 0999, newer than this ltsm", "pip install --upgrade"),
    damaged: ("is damaged: the row, the records or the masks of run 1", "ltsm db check"),
    itself: ("is this store itself", "name another one"),
    a_link_to_itself: ("is this store itself", "name another one"),
    damaged_weights: ("is not the file that was written", "ltsm db check"),
    no_weights: ("No such file", "ltsm db check"),
    outside: ("names a file outside its folder", "ltsm db check"),
    other_data: ("were computed from other data than those in this store", "keep them apart"),
    another_fingerprint: ("is not what its fingerprint says", "do not use"),
    another_recipe: ("a recipe 'initial training' that is not what its fingerprint says", "do not use"),
    a_need_of_another_seed: ("made from one of another seed", "do not use"),
    a_role_that_leads_elsewhere: ("a file that is '.*', which none is", "do not use"),
    a_seed_that_is_text: ("has values in run that it cannot have", "do not use"),
    nothing_where_something_must_be: ("has values in run that it cannot have", "do not use"),
    an_unknown_setting: ("cannot read", "pip install --upgrade"),
    a_circle: ("made from each other", "do not use"),
    no_rights: ("cannot", ""),
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.__name__)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["", "dry"])
def test_what_is_no_other_store_is_refused(own, other, case, dry):
    """Nothing is changed, here or there. Taken out: `refuse`, and each sentence in `verdicts`: it was merged, or a traceback."""
    case(own, other)
    before, there = results(own), listed(other.parent)
    message, hint = REFUSED[case]
    with pytest.raises(LtsmError, match=message) as caught:
        ltsm("db", "merge", other, "--store", own, *dry)
    assert caught.value.exit_code == StoreError.exit_code
    assert hint in caught.value.hint
    assert results(own) == before
    if "itself" not in case.__name__:
        assert listed(other.parent) == there
    assert not list(own.parent.glob(".*"))


def test_a_store_that_is_refused_makes_none(made, tmp_path):
    with pytest.raises(StoreError, match="there is no store at"):
        ltsm("db", "merge", made[1], tmp_path / "typo.db", "--store", tmp_path / "new" / "ltsm.db")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_beside_the_other(own, other):
    """Not even what SQLite leaves of readers. Taken out: `still`; there was its shared memory."""
    before = listed(other.parent)
    assert merge(own, other) == [{"new": 1}]
    assert listed(other.parent) == before


def test_a_log_that_was_left_there_is_read(own, other):
    """What a killed command committed last is in it. Taken out: the look at logs in `other._still`; it was not seen."""
    before = other.read_bytes()
    store = schema.open_for_writing(other)
    write.rename_protocol(store, 1, "renamed")
    assert other.read_bytes() == before
    (found,) = told(own, other)
    assert [protocol["there"] for protocol in found["protocols"]] == ["renamed"]
    store.close()
