"""Commands to type next: each means the store and the protocol that it was said of."""

import shlex
from dataclasses import fields, replace

import pytest
from single_runs import DONE, PENDING

from ltsm.cli.choices import Choices
from ltsm.protocol import PAPER, SMOKE, Protocol, settled
from ltsm.report import commands
from ltsm.store.values import ProtocolRow


@pytest.fixture(autouse=True)
def _no_store_of_ones_own(monkeypatch):
    monkeypatch.delenv("LTSM_STORE", raising=False)


def again(run=DONE, protocol=PAPER, store=commands.STORE, others=(), *, force=False):
    return commands.again(run, protocol.settings(), store, others, force=force)


def recorded(command, run=DONE):
    return replace(run, provenance={"command": command})


def test_it_names_step_seed_sizes_and_force():
    assert again() == "ltsm train-hyperop --seed 0 --sizes 50,5"
    assert again(replace(DONE, kind="initial")) == "ltsm train-baseline --seed 0"
    assert again(replace(DONE, kind="ticket", seed=3), force=True) == "ltsm train-ticket --seed 3 --force"


def test_it_names_the_store_unless_it_is_the_usual_one(monkeypatch):
    assert again(store="my runs/x.db").endswith(" --store 'my runs/x.db'")
    monkeypatch.setenv("LTSM_STORE", "other.db")
    assert again().endswith(f" --store {commands.STORE}")
    assert again(store="other.db").endswith(" --store other.db")


def test_every_setting_with_an_option_is_known():
    settings = {f.name for f in fields(Choices)} & {f.name for f in fields(Protocol)}
    assert set(commands.SETTINGS) == settings


def made(words):
    """The protocol that a command with these options runs."""
    types = {"lr": float, "batch_size": int, "initial_iterations": int, "iterations": int}
    chosen, rest = {}, iter(words)
    for word in rest:
        name = word.removeprefix("--").replace("-", "_")
        chosen[name] = True if name == "smoke" else types.get(name, str)(next(rest))
    return Choices(**chosen).made_protocol()


@pytest.mark.parametrize(
    "protocol",
    [
        PAPER,
        SMOKE,
        PAPER.changed(dataset="digits", lr=0.1 + 0.2, hidden=(12, 6)),
        SMOKE.changed(pixels="standardised", order="shuffled", activation="gelu", mask="weights"),
        settled(SMOKE.changed(dataset="auto"), "digits"),
        PAPER.changed(batch_size=7, initial_iterations=300, iterations=200),
    ],
    ids=lambda p: p.name,
)
def test_options_make_the_very_protocol_again(protocol):
    words = commands.protocol_words(protocol.settings(), [])
    assert made(words).fingerprint == protocol.fingerprint


FROM_A_FILE = PAPER.changed(record_every=10)


def test_a_protocol_from_a_file_is_named_as_it_was():
    """Also of a run that has not begun, by one that has; the last mention counts, as on the command line."""
    run = recorded("ltsm sweep --protocol x.toml --seeds 0-9 --protocol='my $file.toml' --jobs 2 --lr 0.1")
    expected = "--protocol 'my $file.toml' --lr 0.1"
    assert again(run, FROM_A_FILE) == f"ltsm train-hyperop --seed 0 --sizes 50,5 {expected}"
    assert again(PENDING, FROM_A_FILE, others=[run]).endswith(expected)


def test_data_of_ones_own_is_named_by_its_path():
    own = PAPER.changed(dataset="mine.npz#0123456789abcdef")
    run = recorded("ltsm sweep --dataset ./mine.npz --data /scratch --device cuda:1")
    assert again(run, own).endswith("--dataset ./mine.npz --data /scratch --device cuda:1")


@pytest.mark.parametrize("command", ["", "ltsm sweep 'half", "ltsm sweep --protocol"])
def test_where_nothing_is_known_the_command_refuses_to_run(command):
    """Rather than to run the paper's protocol: there is no file of that name."""
    assert again(recorded(command), FROM_A_FILE).endswith("--protocol FILE.toml")


def test_a_strange_stores_command_runs_nothing_else():
    run = recorded("ltsm sweep --protocol 'x; rm -rf ~'")
    assert shlex.split(again(run, FROM_A_FILE))[-1] == "x; rm -rf ~"
    assert again(run, PAPER).endswith("50,5")


def test_a_stored_protocol_is_named_where_there_are_several():
    rows = [ProtocolRow(i, name, "", {}, DONE.updated_at) for i, name in enumerate(["a", "b b", "a"], 1)]
    assert commands.stored_words(rows[:1], 1) == []
    assert commands.stored_words(rows, 1) == ["--protocol", "1"]
    assert commands.stored_words(rows, 2) == ["--protocol", "b b"]
