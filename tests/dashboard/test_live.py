"""Stores that change, appear, break and vanish while they are watched, and writers that die."""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import made_up
import pytest

from ltsm.dashboard.app import POLL_SECONDS, Dashboard
from ltsm.dashboard.source import Source
from ltsm.store import schema

WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ltsm.protocol import PAPER
from ltsm.store import claim, read, schema, write
from ltsm.store.values import Artifact, Beginning, Metric, RecipeSpec, RunSpec, Segment
from ltsm.studies import paper

path, segments = Path(sys.argv[1]), int(sys.argv[2])
time = datetime(2026, 2, 1, tzinfo=UTC)
with claim.claim(path, "ltsm sweep", time):
    store = schema.open_for_writing(path)
    protocol = write.add_protocol(store, PAPER, time)
    study, name = paper.study(PAPER), "hyperop (50, 5)"
    identity = study.fingerprints()[name]
    spec = RunSpec(77, identity, (50, 5), 100 * segments, {})
    write.add_runs(store, protocol, [RecipeSpec(identity, name, study.settings(name))], [spec], time)
    run = read.find_run(store, protocol, identity, 77)
    write.begin(store, run.id, Beginning(iterations=spec.iterations, initial=Artifact("w", "00"), inputs=784,
                classes=10, parameters=1, relative_size=0.1, device="cpu", provenance={}), time)
    for number in range(1, segments + 1):
        print(number, flush=True)
        if not sys.stdin.readline():
            break
        time += timedelta(seconds=1)
        at, last = 100 * number, number == segments
        write.record(store, run.id, Segment(metrics=[Metric(at, 1.0, 0.5, 0.9)], iteration=at, seconds=0.25,
                     state="done" if last else "running", final=Artifact("f", "00") if last else None), time)
    print("end", flush=True)
    sys.stdin.readline()
    store.close()
"""


@contextmanager
def writing(path, segments):
    """Another process that holds the claim and writes one segment for every line that it gets."""
    command = [sys.executable, "-c", WRITER, str(path), str(segments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as writer:
        assert writer.stdout.readline() == "1\n"
        try:
            yield writer
        finally:
            writer.kill()


def one_more(writer):
    """Let it write a segment, and wait until that is in the store."""
    writer.stdin.write("\n")
    writer.stdin.flush()
    return writer.stdout.readline()


@pytest.fixture
def path(tmp_path, finished):
    shutil.copytree(finished.parent, tmp_path / "results")
    return tmp_path / "results" / "ltsm.db"


async def test_every_segment_is_seen_on_every_screen(watching, path):
    with writing(path, 4) as writer:
        async with watching(path, size=(120, 30)) as watched:
            one_more(writer)
            await watched.look()
            assert "▶ seed 77 hyperop (50, 5)" in watched.text
            assert "100/400" in watched.text
            assert "400 it/s" in watched.text
            await watched.press("2", *["down"] * 2, "a")
            seen = [watched.screen.legend.current.line.started]
            await watched.press("5", "slash", *"seed:77", "enter", "enter")
            assert "100 of 400" in watched.text
            one_more(writer)
            await watched.look()
            assert "200 of 400" in watched.text
            await watched.press("escape")
            assert "200/400" in watched.text
            await watched.press("2")
            seen.append(watched.screen._drawing.curves["hyperop (50, 5)"].band.at(200).n)
            assert seen == [4, 4]
            one_more(writer)
            assert one_more(writer) == "end\n"
            await watched.press("1")
            await watched.look()
            assert "43/43 runs done" in watched.text


async def test_a_killed_sweep_is_shown_as_interrupted_at_the_next_look(watching, path):
    assert POLL_SECONDS <= 2
    with writing(path, 4) as writer:
        one_more(writer)
        async with watching(path, size=(120, 30)) as watched:
            assert "sweep running" in watched.text
            writer.kill()
            writer.wait()
            await watched.look()
            assert "sweep interrupted" in watched.text
            assert "‖ 1 interrupted" in watched.text
            assert "▶" not in watched.text


async def test_a_writer_that_never_rests_and_a_reader_that_never_rests_do_not_mind_each_other(watching, path):
    with writing(path, 150) as writer:
        async with watching(path) as watched:
            for key in "1234512345":
                for _ in range(15):
                    said = one_more(writer)
                await watched.press(key)
                await watched.look()
            assert said == "end\n"
            assert watched.app.problem is None
            (run,) = (run for run in watched.app.moment.runs if run.seed == 77)
            assert (run.state, run.iteration) == ("done", 15_000)
        writer.stdin.close()
        assert writer.wait() == 0


async def until(pilot, condition):
    """Let the app go on by itself until it is so."""
    for _ in range(500):
        if condition():
            return
        await pilot.pause()
    raise AssertionError("it never was so")


async def test_it_comes_alive_by_itself_when_the_store_appears(tmp_path, finished):
    path = tmp_path / "results" / "ltsm.db"
    app = Dashboard(path, poll_seconds=0.02)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.problem is not None)
        assert app.moment is None
        path.parent.mkdir()
        shutil.copy(finished, tmp_path / "whole.db").rename(path)
        await until(pilot, lambda: app.moment is not None)
        assert app.problem is None


FAULTS = {
    "no store": ("There is no store at", "ltsm sweep", Path.unlink),
    "empty": ("is empty", "fills it", lambda path: path.write_bytes(b"")),
    "foreign": ("is no ltsm store", "--store FILE", lambda path: path.write_bytes(b"not a store")),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_before_there_is_a_store_every_screen_says_what_to_type(watching, path, fault):
    sentence, command, break_it = FAULTS[fault]
    break_it(path)
    async with watching(path) as watched:
        for key in "54321" if fault == "no store" else "1":
            await watched.press(key, "enter", "y", "Y", "s", "space", "left", "p", "f")
            flat = " ".join(watched.text.split())
            assert sentence in flat
            assert command in flat
            assert "waiting for a store" in flat
            assert "comes alive by itself" in flat


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_store_that_breaks_while_open_is_said_above_what_was_last_seen(watching, path, fault):
    sentence, _, break_it = FAULTS[fault]
    kept = shutil.copy(path, path.with_name("kept.db"))
    async with watching(path) as watched:
        break_it(path)
        await watched.look()
        flat = " ".join(watched.text.split())
        assert sentence in flat
        assert "✗ as last seen" in flat
        assert "42/42" in flat
        kept.replace(path)
        await watched.look()
        assert sentence not in " ".join(watched.text.split())
        assert watched.app.problem is None


async def test_a_replaced_store_is_shown_on_every_screen(watching, path, tmp_path):
    async with watching(path) as watched:
        for key in "2345":
            await watched.press(key)
        made_up.evaluation(tmp_path / "new.db", seeds=(5,), factor=2.0).replace(path)
        await watched.look()
        assert "14 of 14 runs" in watched.text
        await watched.press("4")
        assert watched.screen.grid.rows[0].cells[1].ours.n == 1
        await watched.press("3")
        assert "seed 5" in watched.text
        assert "seed 1" not in watched.text


async def test_a_thousand_seeds_open_and_scroll(watching, tmp_path, multiplied):
    path = multiplied(made_up.evaluation(tmp_path / "ltsm.db", seeds=(0,)), 1000)
    async with watching(path) as watched:
        await watched.settle()
        assert len(watched.app.moment.runs) == 14_000
        await watched.press("end")
        assert watched.screen.grid.current.seed == 999
        await watched.press("pageup", "2", "3", "end")
        assert watched.screen.choices.current.seed == 999
        await watched.press("4", "5", "end")
        assert watched.screen.grid.current.run.seed == 999


@contextmanager
def nobody():
    """Without the rights of root, who may write anywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such rights there")
def test_a_store_in_a_read_only_folder_is_read(finished):
    folder = Path(tempfile.mkdtemp())
    path = folder / "ltsm.db"
    shutil.copy(finished, path)
    try:
        path.chmod(0o444)
        folder.chmod(0o555)
        source = Source(path)
        with nobody():
            moment = source.look()
            assert len(moment.runs) == 42
            assert source.records(moment.runs)
            assert source.look() is None
            source.close()
        assert [file.name for file in folder.iterdir()] == ["ltsm.db"]
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


async def test_closing_it_changes_nothing(watching, path):
    before = path.read_bytes()
    async with watching(path) as watched:
        await watched.press(*"2345")
    assert path.read_bytes() == before
    store = schema.open_for_writing(path)
    store.close()
