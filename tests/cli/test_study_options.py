"""A study's own options on the command line: part of what the study is called, or refused in a sentence."""

import json

import pytest
from typer.testing import CliRunner

from ltsm.cli.commands import app

SMALL = ("--smoke", "--dataset", "digits")


def run(*arguments):
    return CliRunner().invoke(app, [*arguments])


def shown(*arguments):
    found = run("study", "show", *arguments, *SMALL, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def test_options_make_another_study_of_it():
    found = shown(
        "criteria", "--criterion", "movement", "--criterion", "random", "--kept", "initial", "--train", "best"
    )
    assert [recipe["name"] for recipe in found["recipes"]] == [
        "initial training", "movement", "random", "movement, trained at its best", "random, trained at its best",
    ]  # fmt: skip
    assert found == shown("criteria/criterion=movement,random/kept=initial/train=best")


def test_the_study_says_under_which_protocol_it_is_run():
    """Weights alone are masked, and by fractions; of the paper's network by thresholds."""
    assert shown("criteria")["recipes"][1]["settings"]["mask"]["by"] == "fraction"
    found = run("study", "show", "criteria", "--protocol", "smoke", "--dataset", "digits", "--json")
    assert "by" not in json.loads(found.stdout)["recipes"][2]["settings"]["mask"]


@pytest.mark.parametrize("command", [("sweep",), ("study", "show")], ids=" ".join)
def test_a_study_refuses_options_that_it_has_not(command):
    found = run(*command, "controls", "--criterion", "sign", *SMALL)
    assert found.exception is not None
    assert "the study controls has no option '--criterion': it has none" in str(found.exception)


def test_options_of_two_words_are_part_of_the_name_as_they_are_typed():
    options = (
        "--rounds",
        "2",
        "--controls",
        "2",
        "--one-shot",
        "all",
        "--rewind-to",
        "100",
        "--output-rate",
        "0.3",
    )
    found = shown("iterative", *options)
    assert [recipe["name"] for recipe in found["recipes"]] == [
        "round 0", "round 1", "round 2", "reinitialised 2", "one-shot 1", "one-shot 2",
    ]  # fmt: skip
    assert found["recipes"][1]["settings"]["mask"]["output"] == [0.7]
    name = "iterative/rounds=2/controls=2/one-shot=all/rewind-to=100/output-rate=0.3"
    assert found == shown(name)
    planned = run("sweep", "iterative", *options, "--dry-run", *SMALL)
    assert "12 of 12 runs to do" in planned.stdout


def test_weights_that_go_take_no_disk_in_the_plan():
    plans = [
        run("sweep", "iterative", "--dry-run", *SMALL, *more).stdout.splitlines()[-1]
        for more in ((), ("--keep-weights",))
    ]
    dropped, kept = (float(plan.rsplit(", ", 1)[1].split()[0]) for plan in plans)
    assert all("MB of disk" in plan for plan in plans), plans
    # of two seeds the weights of nineteen rounds, 50,610 numbers of four bytes each
    assert kept - dropped == pytest.approx(2 * 19 * 50_610 * 4 / 1e6, abs=0.11)
