"""The program as a user starts it: what it prints, what it refuses, and its exit codes."""

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import made_up
import pytest
from small import TOML, results
from typer import rich_utils
from typer.testing import CliRunner

from ltsm.cli.commands import app
from ltsm.protocol import PAPER
from ltsm.studies import paper

LTSM = [sys.executable, "-m", "ltsm"]
COMMANDS = [
    "sweep", "train-baseline", "find-supermask", "train-ticket", "train-hyperop", "status", "report", "figures", "verify", "dashboard", "init", "doctor",
    "study list", "study show", "study",
    "benchmark", "prune", "ticket export", "ticket show", "ticket evaluate", "data get", "data check", "db path",
    "db upgrade", "db check", "db backup", "db merge", "db size", "db prune", "db rebuild", "ticket", "data", "db",
    "runs list", "runs show", "runs delete", "runs", "export",
    "protocols list", "protocols show", "protocols rename", "protocols delete", "protocols",
]  # fmt: skip


@pytest.fixture
def room(tmp_path, monkeypatch):
    """An empty folder to stand in, with the small protocol in it and nothing inherited."""
    monkeypatch.chdir(tmp_path)
    for name in ("LTSM_STORE", "LTSM_DATA", "LTSM_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    Path("small.toml").write_text(TOML)
    # Tests that were started in the background ignore Ctrl-C, as would every program that they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield tmp_path
    signal.signal(signal.SIGINT, before)


def ltsm(*arguments, **more):
    return subprocess.run(
        [*LTSM, *arguments], capture_output=True, text=True, timeout=300, check=False, **more
    )


LONG = ("--initial-iterations", "3000000", "--jobs", "2")
"""Long enough to be met while it runs; a second worker ends other runs meanwhile, on one core too."""


def sweep(*arguments):
    return [*LTSM, "sweep", "--protocol", "small.toml", *arguments]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_opens_with_examples(command):
    found = ltsm(*command.split(), "--help")
    assert found.returncode == 0
    usage, _, rest = found.stdout.partition("Usage:")
    assert usage.strip() == ""
    assert rest.split("\n", 1)[1].strip().startswith("Examples:")
    assert f"ltsm {command}" in rest


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_prose_of_every_help_fills_the_terminal(monkeypatch, command, width):
    """A line that ends no sentence ends where the next word would not have fitted."""
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", width)
    shown = CliRunner().invoke(app, [*command.split(), "--help"]).stdout
    described = [line.strip() for line in shown.partition("Examples:")[2].partition("╭")[0].splitlines()]
    prose = "\n".join(described).strip().split("\n\n")[-1].splitlines()
    for line, following in pairwise(prose):
        assert line.endswith((".", ":")) or len(line) + 1 + len(following.split()[0]) > width - 2


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["status"],
        ["db", "path"],
        ["study", "list"],
        ["runs", "--help"],
        ["export", "--help"],
        ["doctor", "--help"],
        ["benchmark", "--help"],
    ],
)
def test_looking_loads_no_torch(room, command):
    """Nor does `--help` load what reads stores: it answers within half a second."""
    code = (
        "import sys; from ltsm.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'matplotlib', 'textual'}\n"
        "heavy |= {'sqlalchemy'} if '--help' in sys.argv else set()\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


REFUSALS = {
    "no hidden units": (["sweep", "--hidden", "0"], 2, "hidden: every layer needs between 1 and"),
    "no sizes": (["sweep", "--hidden", "big"], 2, "hidden sizes are whole numbers"),
    "a dense network without units": (["train-hyperop", "--sizes", "0"], 2, "--sizes: every layer needs"),
    "endless digits": (["sweep", "--hidden", "9" * 5000], 2, "hidden sizes are whole numbers"),
    "too deep": (["sweep", "--hidden", ",".join("9" * 65)], 2, "hidden: 65 are more than 64 layers"),
    "backwards seeds": (["sweep", "--seeds", "9-3"], 2, "the range of seeds 9-3 runs backwards"),
    "no seeds": (["train-ticket", "--seed", "x"], 2, "seeds are numbers and ranges"),
    "unknown data set": (["sweep", "--dataset", "nmist"], 2, "there is no data set 'nmist'"),
    "a plan on an unknown data set": (
        ["sweep", "--dataset", "MNIST", "--dry-run"],
        2,
        "there is no data set 'MNIST'",
    ),
    "a dashboard without a terminal": (["dashboard"], 2, "the dashboard needs a terminal"),
    "unknown protocol": (["sweep", "--protocol", "papier"], 2, "there is no protocol 'papier'"),
    "missing protocol file": (["sweep", "--protocol", "none.toml"], 2, "cannot read the protocol none.toml"),
    "unknown key": (
        ["sweep", "--protocol", "key.toml"],
        2,
        "key.toml has the unknown setting 'learning_rate'",
    ),
    "no TOML": (["sweep", "--protocol", "no.toml"], 2, "no.toml is not TOML"),
    "wrong type": (["sweep", "--protocol", "type.toml"], 2, "lr must be a number"),
    "learning rate": (["sweep", "--lr", "nan"], 2, "lr must be a number"),
    "order": (["sweep", "--order", "random"], 2, "order must be file or shuffled"),
    "two protocols": (["sweep", "--smoke", "--protocol", "small.toml"], 2, "name two protocols"),
    "unknown option": (["sweep", "--frobnicate"], 2, "No such option"),
    "no data": (["sweep", "--data", "nowhere"], 3, "MNIST"),
    "no store": (["status"], 3, "there is no store at results/ltsm.db"),
    "no store to check": (["db", "check", "--store", "x.db"], 3, "there is no store at x.db"),
    "a file that is no store": (
        ["sweep", "--dataset", "digits", "--store", "small.toml"],
        3,
        "small.toml is no ltsm store",
    ),
    "somebody else's database": (
        ["sweep", "--dataset", "digits", "--store", "other.db"],
        3,
        "not one of ltsm's",
    ),
    "a store that is a folder": (["status", "--store", "."], 3, "cannot read the store"),
    "another database": (["status", "--store", "postgresql://x/y"], 3, "only SQLite stores"),
    "a folder that cannot be": (
        ["sweep", "--dataset", "digits", "--store", "small.toml/x.db"],
        3,
        "cannot write to",
    ),
    "a protocol over another": (["init", "--protocol-file", "small.toml"], 2, "cannot write small.toml"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_nonsense_is_met_with_a_sentence(room, case):
    """One sentence, the next thing to do, the exit code of the design, and no traceback."""
    Path("key.toml").write_text("learning_rate = 0.1\n")
    Path("no.toml").write_text("lr = = 3")
    Path("type.toml").write_text('lr = "fast"\n')
    with sqlite3.connect("other.db") as other:
        other.execute("CREATE TABLE song (id)")
    other.close()
    arguments, code, sentence = REFUSALS[case]
    found = ltsm(*arguments, env={**os.environ, "LTSM_MIRROR": "http://127.0.0.1:9/"})
    assert sentence in found.stderr
    assert found.returncode == code
    assert found.stdout == ""
    assert "Traceback" not in found.stderr


def test_a_step_says_what_it_runs_first_and_runs_nothing_twice(room):
    first = ltsm("find-supermask", "--protocol", "small.toml", "--seed", "1")
    assert first.returncode == 0, first.stderr
    assert "runs what is missing first: seed 1 initial training, seed 1 baseline" in first.stderr
    assert first.stdout.startswith("seed 1 supermask: t = ")
    again = ltsm("train-baseline", "--protocol", "small.toml", "--seed", "1")
    assert "nothing to do" in again.stderr
    assert [line.split(":")[0] for line in again.stdout.splitlines()] == [
        "seed 1 initial training done",
        "seed 1 baseline done",
    ]
    before = results("results/ltsm.db")
    forced = ltsm("find-supermask", "--protocol", "small.toml", "--seed", "1", "--force")
    assert forced.stdout == first.stdout
    assert "nothing to do" not in forced.stderr
    assert results("results/ltsm.db") == before
    assert ltsm("db", "check").returncode == 0


def test_forcing_the_baseline_undoes_what_is_built_on_it(room):
    assert ltsm("train-ticket", "--protocol", "small.toml", "--seed", "0").returncode == 0
    before = results("results/ltsm.db")
    assert (
        ltsm("train-baseline", "--protocol", "small.toml", "--seed", "0", "--force", "--yes").returncode == 0
    )
    after = results("results/ltsm.db")
    assert after[0, paper.INITIAL] == before[0, paper.INITIAL]
    assert after[0, paper.SUPERMASK][0] == after[0, paper.TICKET][0] == "pending"
    assert ltsm("db", "check").returncode == 0


def test_sweep_from_plan_to_end(room):
    """Dry run, interrupted with Ctrl-C, went on; status and check agree with what is there."""
    dry = ltsm("sweep", "--protocol", "small.toml", "--dry-run")
    assert "12 of 12 runs to do" in dry.stdout
    assert not Path("results").exists()

    with subprocess.Popen(sweep("--jobs", "1"), stderr=subprocess.PIPE, text=True) as process:
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert "type the same command again" in rest

    partly = json.loads(ltsm("status", "--json").stdout)
    assert partly["writer"] is None
    (protocol,) = partly["protocols"]
    assert 0 < protocol["done"] < protocol["total"] == 12

    assert subprocess.run(sweep("--jobs", "2"), capture_output=True, check=False).returncode == 0
    (protocol,) = json.loads(ltsm("status", "--json").stdout)["protocols"]
    assert protocol["done"] == protocol["total"] == 12
    assert "0 of 12 runs to do" in ltsm("sweep", "--protocol", "small.toml", "--dry-run").stdout
    assert ltsm("db", "check").returncode == 0


def test_killed_three_times_it_ends_with_the_same_bits(room):
    """kill -9 of the driving process: its workers end too, and nothing of what it wrote is lost or doubled."""
    assert subprocess.run(sweep("--store", "whole/ltsm.db"), capture_output=True, check=False).returncode == 0
    for lines in (1, 2, 3):
        with subprocess.Popen(sweep(), stderr=subprocess.PIPE, text=True) as process:
            for _ in range(lines):
                process.stderr.readline()
            process.kill()
    assert subprocess.run(sweep(), capture_output=True, check=False).returncode == 0
    assert results("results/ltsm.db") == results("whole/ltsm.db")


def test_sigterm_ends_with_143_and_a_second_sweep_is_refused_meanwhile(room):
    with subprocess.Popen(sweep(*LONG), stderr=subprocess.PIPE, text=True) as process:
        process.stderr.readline()
        second = ltsm("sweep", "--protocol", "small.toml")
        process.terminate()
        process.stderr.read()
    assert second.returncode == 3
    assert f"process {process.pid}" in second.stderr
    assert process.returncode == 143


READER = """
import sys, time
from pathlib import Path
from ltsm.store import read, schema
path, stop = Path(sys.argv[1]), Path(sys.argv[2])
count = 0
while not stop.exists():
    if path.exists():
        try:
            store = schema.open_for_reading(path)
        except Exception as error:
            if "empty" not in str(error):
                raise
            continue
        for _ in range(20):
            for protocol in read.protocols(store):
                runs = read.runs(store, protocol.id)
                read.metrics(store, [r.id for r in runs]); read.masks(store, protocol.id, bits=True)
                count += 1
        store.close()
print(count)
"""


def test_a_process_that_reads_all_the_time_disturbs_nothing(room):
    """Readers see a consistent store and never block the writer; the results are the same bits."""
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, "results/ltsm.db", "stop"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    swept = subprocess.run(sweep(), capture_output=True, text=True, check=False)
    Path("stop").touch()
    for reader in readers:
        out, err = reader.communicate(timeout=60)
        assert reader.returncode == 0, err
        assert int(out) > 10
    assert swept.returncode == 0, swept.stderr
    assert "lock" not in swept.stderr
    assert subprocess.run(sweep("--store", "alone/ltsm.db"), capture_output=True, check=False).returncode == 0
    assert results("results/ltsm.db") == results("alone/ltsm.db")


def test_init_writes_a_protocol_that_gives_the_papers_runs(room):
    made = ltsm("init", "--protocol-file", "mine.toml")
    assert made.returncode == 0, made.stderr
    assert not Path("results").exists()
    dry = ltsm("sweep", "--protocol", "mine.toml", "--dry-run")
    assert "140 of 140 runs to do" in dry.stdout


def test_wait_waits_for_the_other_writer(room):
    long = ("--initial-iterations", "3000", "--seeds", "0")
    with subprocess.Popen(sweep(*long), stderr=subprocess.PIPE, text=True) as process:
        process.stderr.readline()
        waited = ltsm("sweep", "--protocol", "small.toml", *long, "--wait")
        process.stderr.read()
    assert process.returncode == waited.returncode == 0
    assert "nothing to do" in waited.stderr


def test_the_advice_of_a_check_mends_the_store(room):
    """Typed as it stands, and agreed to: a hyperop's weights, and the initial ones that a whole chain starts from."""
    store = ("--store", "my runs/x.db")
    short = ("--hidden", "12,6", "--initial-iterations", "300", "--iterations", "200")
    smoke = ("--smoke", "--dataset", "digits", *short, *store)
    assert ltsm("train-ticket", *smoke).returncode == 0
    assert ltsm("train-hyperop", "--sizes", "4,3", *smoke).returncode == 0
    for files in ("hyperop-*/final.safetensors", "initial-training-*/initial.safetensors"):
        (damaged,) = Path("my runs/weights").rglob(files)
        damaged.write_bytes(b"damaged")
        findings = json.loads(ltsm("db", "check", "--json", *store).stdout)["findings"]
        (advice,) = {finding["do"].removesuffix(" redoes it") for finding in findings}
        subprocess.run([*LTSM, *shlex.split(advice)[1:], "--yes"], capture_output=True, check=True)
    assert ltsm("db", "check", *store).returncode == 0
    assert len(json.loads(ltsm("status", "--json", *store).stdout)["protocols"]) == 1


DONE = "6 of 6 runs are in my runs/x.db:"


def test_what_to_type_next_means_this_store_and_this_protocol(room):
    """Also where another protocol of the store changed last; a name with a space is one word."""
    Path("s p.toml").write_text(TOML.replace("small", "s p").replace("lr = 0.01", "lr = 0.02"))
    store = ("--store", "my runs/x.db")
    first = ltsm("sweep", "--protocol", "small.toml", "--seeds", "0", *store)
    assert first.stderr.endswith(f"{DONE} ltsm report --store 'my runs/x.db'\n")
    second = ltsm("sweep", "--protocol", "s p.toml", "--seeds", "0", *store)
    assert second.stderr.endswith(f"{DONE} ltsm report --protocol 's p' --store 'my runs/x.db'\n")
    again = ltsm("sweep", "--protocol", "small.toml", "--seeds", "0", *store)
    assert again.stderr.endswith(f"{DONE} ltsm report --protocol small --store 'my runs/x.db'\n")
    missing = ltsm("ticket", "export", "--seed", "7", *store)
    assert missing.stderr.endswith("ltsm train-ticket --seed 7 --protocol 2 --store 'my runs/x.db'\n")


def test_init_says_what_to_type_and_takes_the_protocols_that_sweep_takes(room):
    Path("mine").write_text(TOML)
    written = ltsm("init", "--protocol", "mine", "--protocol-file", "s p.toml", "--store", "x.db")
    assert "(ltsm sweep --protocol 's p.toml' --store x.db)" in written.stdout, written.stderr
    made = ltsm("init", "--store", "x.db", "--data", "a b")
    assert made.returncode == 0, made.stderr
    assert "(ltsm data check --data 'a b')" in made.stdout
    assert "ltsm sweep --smoke --store x.db, then ltsm sweep --store x.db" in made.stderr
    assert Path("s p.toml").read_text().count("hidden = [12, 6]") == 1
    assert "ltsm sweep --store x.db" in ltsm("status", "--store", "x.db").stdout


def test_no_name_is_taken_for_markup(room):
    """A protocol's, a data set's or a file's: it is shown as it is."""
    made_up.evaluation(Path("x.db"), seeds=(0,), protocol=PAPER.changed(name="a[/x]b :smile:"))
    assert "1: a[/x]b :smile: on mnist" in ltsm("status", "--store", "x.db").stdout
    Path("odd.toml").write_text(TOML.replace('"small"', '"a[/x]b"'))
    dry = ltsm("sweep", "--protocol", "odd.toml", "--dry-run")
    assert dry.stdout.startswith("paper, a[/x]b: digits"), dry.stderr


def test_version():
    assert ltsm("--version").stdout.startswith("ltsm 0.")


def test_doctor_looks_and_reports(room):
    found = json.loads(ltsm("doctor", "--json").stdout)["findings"]
    topics = {finding["topic"]: finding for finding in found}
    assert topics["torch"]["verdict"] == "ok"
    assert "data get" in topics["data"]["advice"]
