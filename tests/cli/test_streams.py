"""What the program writes to where not every character can be written, or nothing at all."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from made_up import evaluation

LOCALES = {
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return evaluation(tmp_path_factory.mktemp("store") / "ltsm.db", seeds=(0, 1, 2))


def ltsm(*arguments, locale="cp1252", redirected=""):
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-m", "ltsm", *arguments]
    return subprocess.run(
        command, capture_output=True, env={**os.environ, **LOCALES[locale]}, timeout=100, check=False
    )


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    "command", [["verify"], ["report"], ["status"], ["db", "check"], ["report", "--help"]], ids=" ".join
)
def test_words_are_written_in_any_encoding(store, command, locale):
    """What the encoding lacks is written as an escape."""
    named = ["--store", str(store)] if "--help" not in command else []
    found = ltsm(*command, *named, locale=locale)
    assert found.stderr == b""
    assert found.returncode in {0, 3, 4}, found.stdout
    if command == ["report"] and locale != "cp1252":
        assert rb"\xb1" in found.stdout


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("form", ["--markdown", "--latex", "--html", "--json", "--csv"])
def test_documents_are_utf8_in_any_locale(store, tmp_path, form, locale):
    """The same bytes as in a file."""
    output = tmp_path / "document"
    assert ltsm("report", form, "--store", store, "--output", output, locale=locale).returncode == 0
    found = ltsm("report", form, "--store", store, locale=locale)
    assert found.stdout == output.read_bytes(), found.stderr


def test_json_is_utf8_in_any_locale(store, tmp_path):
    elsewhere = tmp_path / "Länder.db"
    shutil.copy(store, elsewhere)
    found = json.loads(ltsm("status", "--json", "--store", elsewhere).stdout.decode())
    assert found["store"] == str(elsewhere)


@pytest.mark.parametrize("redirected", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("command", ["status", "status --json", "report", "--help"])
def test_a_closed_stream_takes_what_is_written(store, command, redirected):
    named = [] if command == "--help" else ["--store", str(store)]
    found = ltsm(*command.split(), *named, redirected=redirected)
    assert found.returncode == 0
    assert found.stderr == b""
    assert bool(found.stdout) == (">&- " not in f"{redirected} ".replace("2>&-", ""))


def test_a_store_may_have_a_name_that_the_locale_cannot_write(store, tmp_path):
    other = tmp_path / "über" / "ä.db"
    assert ltsm("db", "backup", "--no-weights", "--store", store, other, locale="C").returncode == 0
    for command in (["status"], ["report", "--output", tmp_path / "report.html"], ["db", "check"]):
        found = ltsm(*command, "--store", other, locale="C")
        assert b"Traceback" not in found.stderr, found.stderr
        assert found.returncode in {0, 3}, (command, found.stdout)
