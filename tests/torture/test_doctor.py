"""What `doctor` and `db check` say of a store."""

import json
import os
import sqlite3

from small import results
from torture.oracle import check

from ltsm.cli.running import now
from ltsm.store import claim, filesystem


def test_doctor_reports_what_it_sees(ltsm):
    """The file system, the journal, the free space, who writes, SQLite's version.

    Taken out: `holder` in `doctor._lock`; nobody seemed to write.
    """
    assert ltsm.start("init").ended() == 0
    with claim.claim(ltsm.store, "ltsm sweep", now()):
        doctor = ltsm.start("doctor", "--json")
        assert doctor.ended() == 0, doctor.words
    found = {finding["topic"]: finding for finding in json.loads(doctor.words)["findings"]}
    assert f"process {os.getpid()} on " in found["writer"]["text"]
    assert "ltsm sweep" in found["writer"]["text"]
    assert found["journal"]["text"].startswith("wal, synchronous NORMAL")
    assert filesystem.kind(ltsm.folder) in found["file system"]["text"]
    assert "GiB free in" in found["space"]["text"]
    assert sqlite3.sqlite_version in found["SQLite"]["text"]


def findings(ltsm, code):
    run = ltsm.start("db", "check", "--json")
    assert run.ended() == code, run.words
    return {finding["what"]: finding for finding in json.loads(run.words)["findings"]}


def test_stores_in_one_folder_leave_each_others_files_alone(ltsm, undisturbed):
    """Redone by force, and looked for strangers. Taken out: the moment in `Experiment.files`; the first lost its files."""
    other = ltsm.store.with_name("other.db")
    assert ltsm.sweep().ended() == 0
    assert ltsm.sweep("--store", other).ended() == 0, ltsm.words
    assert ltsm.sweep("--store", other, "--force").ended() == 0, ltsm.words
    for path in (ltsm.store, other):
        check(path)
        assert results(path) == undisturbed
        run = ltsm.start("db", "check", "--json", "--store", path)
        assert run.ended() == 0, run.words
        found = json.loads(run.words)["findings"]
        assert {f["what"] for f in found} == {"file without a row"}
        assert not any("deleted" in f["do"] for f in found)


def test_check_names_what_is_missing_changed_or_too_much_and_what_to_do(ltsm):
    """Taken out: `strangers` in `db.check`; the file that no row names was not found."""
    assert ltsm.sweep().ended() == 0
    assert findings(ltsm, 0) == {}
    weights = ltsm.store.parent / "weights"
    (weights / ".final.safetensors.partial").write_bytes(b"half")
    found = findings(ltsm, 0)
    assert found["file without a row"]["where"] == "weights/.final.safetensors.partial"
    assert found["file without a row"]["do"] == "it can be deleted"
    (ticket,) = weights.rglob("ticket-*/final.safetensors")
    content = ticket.read_bytes()
    for damage in (ticket.unlink, lambda: ticket.write_bytes(content[:-1] + b"\xff")):
        damage()
        found = findings(ltsm, 3)
        assert str(ticket.relative_to(ltsm.folder)) in found["damaged file"]["where"]
        redo = found["damaged file"]["do"].removesuffix(" redoes it")
        assert redo == "ltsm sweep --only ticket --seeds 0 --protocol 1 --force"
    assert ltsm.start(*redo.split()[1:]).ended() == 0, ltsm.words
    assert ticket.read_bytes() == content
    check(ltsm.store)
