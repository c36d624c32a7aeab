"""`status`: counts, what went wrong, what is silent, and stores of many protocols."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import made_up
import pytest
from typer.testing import CliRunner

from ltsm.cli.commands import app
from ltsm.protocol import SMOKE
from ltsm.store import claim, schema, write
from ltsm.studies import paper


def status(path, *arguments, **environment):
    found = CliRunner().invoke(app, ["status", "--store", str(path), *arguments], env=environment)
    if found.exception and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.stdout


@pytest.fixture
def many(tmp_path):
    """A store of forty protocols, each with two seeds that wait."""
    store = schema.open_for_writing(tmp_path / "ltsm.db")
    for i in range(40):
        protocol = replace(SMOKE, name=f"mine {i}", lr=0.001 + i / 1e5)
        made_up.add_runs(
            store, write.add_protocol(store, protocol, made_up.NOW), paper.study(protocol), (0, 1)
        )
    store.close()
    return store.path


def test_many_protocols_are_a_line_each(many):
    lines = status(many).splitlines()
    assert len(lines) < 40 + 8
    (line,) = (line for line in lines if "mine 7 " in line)
    assert "0/" in line
    assert line.split("│")[1].strip() == "8"
    assert "40 protocols; one of them: ltsm status --protocol 40" in lines[-1]


@pytest.mark.parametrize("name", ["8", "mine 7"])
def test_one_protocol_of_many(many, name):
    assert "8: mine 7 on mnist, seeds 0-1" in status(many, "--protocol", name)
    (found,) = json.loads(status(many, "--protocol", name, "--json"))["protocols"]
    assert (found["id"], found["total"]) == (8, len(found["runs"]))


def test_the_usual_protocol_hides_no_other(many):
    """LTSM_PROTOCOL says what is run next; the store may not have it yet."""
    assert "40 protocols" in status(many, LTSM_PROTOCOL="paper")


def test_a_protocol_that_there_is_not_names_a_few(many):
    with pytest.raises(Exception, match="no protocol 'other': it has 30 more, and 31 ") as found:
        status(many, "--protocol", "other")
    assert "ltsm status" in found.value.hint


def test_of_many_failures_the_first_are_named(tmp_path):
    states = {(paper.INITIAL, seed): "failed" for seed in range(25)}
    path = made_up.evaluation(tmp_path / "ltsm.db", seeds=tuple(range(25)), protocol=SMOKE, states=states)
    text = status(path)
    assert text.count("failed: out of memory") == 20
    assert "… and 5 more: ltsm status --json" in text


@pytest.mark.parametrize("minutes", [1, 30])
def test_a_sweep_that_records_nothing_is_said_to_be_silent(tmp_path, minutes):
    """Stopped by a signal or hanging: it holds the store and would be `running` for ever."""
    path = made_up.evaluation(tmp_path / "ltsm.db", seeds=(0,), protocol=SMOKE)
    began = datetime.now(UTC) - timedelta(minutes=minutes)
    with claim.claim(path, "ltsm sweep", began):
        text, found = status(path), json.loads(status(path, "--json"))
    assert f"process {os.getpid()}" in text
    assert ("but has recorded nothing for 30 min" in text) == (minutes == 30)
    silent = found["writer"]["silent_seconds"]
    assert silent is None if minutes == 1 else silent >= 1800


def test_runs_that_a_dead_command_left_are_stopped_ones(tmp_path):
    """They say `running` in the store; nobody holds it."""
    path = made_up.evaluation(
        tmp_path / "ltsm.db", seeds=(0,), protocol=SMOKE, states={(paper.INITIAL, 0): "running"}
    )
    (line,) = (line for line in status(path).splitlines() if paper.INITIAL in line)
    assert [cell.strip() for cell in line.split("│")[2:7]] == ["0/1", "", "", "1", ""]
