"""The documents: each from every store, harmless with any label, the same bytes every time."""

import json
import os
import re
import subprocess
import sys
from importlib.resources import files

import own_study
import pytest
from odd_stores import ODD_NAME, STORES
from pages import stands_alone

from ltsm.errors import StoreError
from ltsm.report import escape
from ltsm.report.document import WRITERS
from ltsm.report.evaluation import load
from ltsm.report.measure import ACCURACY
from ltsm.store import artifacts, schema
from ltsm.studies import all as studies
from ltsm.studies import paper

NAMES = [name for name in STORES if name != "different"]


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("name", NAMES)
def test_every_store_becomes_every_document(evaluations, form, name):
    text = WRITERS[form](evaluations(name), True)
    assert form == "html" or text == WRITERS[form](
        evaluations(name), True
    )  # the page's bytes are compared below
    assert ("Redrawn" if name == "controls" else "Lottery ticket") in text
    assert not re.search(r"\bnan\b|NaN|None\b", text)


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_a_document_opens_with_the_finding(evaluations, form):
    text = WRITERS[form](evaluations("full"), False)
    assert 0 < text.index("the lottery ticket keeps") < text.index("Hyperop (100, 15)")
    assert "Not enough seeds to say" in WRITERS[form](evaluations("one"), False)


def test_the_page_stands_alone(evaluations):
    """With every figure in it."""
    text = stands_alone(WRITERS["html"](evaluations("mixed"), False))
    assert text.count("<figure") == 8
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


@pytest.mark.parametrize("form", WRITERS)
def test_a_study_of_ones_own_becomes_every_document(tmp_path, monkeypatch, form):
    """Its labels, its words, and none of the paper's."""
    monkeypatch.setitem(studies.STUDIES, "widths", own_study.study)
    store = schema.open_for_reading(own_study.store(tmp_path / "own.db"))
    text = WRITERS[form](load(store, None, "widths", records=True, bits=True), True)
    store.close()
    plain = text.replace(r"\allowbreak{}", "")
    assert all(label in plain for label in ("Narrow ones", "Wide ones", "Wide, half-way", "Masked"))
    assert (
        form in {"csv", "fragment"}
        or "Wide ones: its final validation loss is lower than that of Narrow ones" in plain
    )
    assert not re.search(
        r"[Tt]icket|[Hh]yperop|Table 1|Welch|\bnan\b",
        re.sub(r'"hyperops"|<dt>hyperops|<style>.*?</style>', "", plain, flags=re.DOTALL),
    )


def test_a_document_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    """Once, it was opened for writing first: a full disk left half a page in place of the last good one."""
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match="No space left"):
        artifacts.save(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_page_names_protocol_versions_and_hashes(evaluations):
    text = WRITERS["html"](evaluations("full"), False)
    evaluation = evaluations("full")
    for expected in ("Made-up CPU", "ltsm sweep --seeds 0-9", evaluation.protocol.fingerprint, "0.0012"):
        assert expected in text
    assert all(run.final.sha256 in text for run in evaluation.runs if run.recipe != paper.SUPERMASK)


def test_odd_names_are_text_in_html(evaluations):
    text = WRITERS["html"](evaluations("named"), False)
    assert "data/my_50%_&lt;b&gt;&amp;x|*y*.npz" in text
    assert ODD_NAME not in text
    assert "<i>" not in text


def test_odd_names_are_text_in_latex_and_markdown(evaluations):
    latex = WRITERS["latex"](evaluations("named"), True)
    name = r"data/my\_50\%\_\textless{}b\textgreater{}\&x\textbar{}*y*.npz"
    # A line may end after an underscore: a long file name has no other place.
    assert name.replace(r"\_", r"\_\allowbreak{}") in latex
    body = latex[latex.index(r"\maketitle") :]
    assert re.findall(r"(?<!\\)[%#$]|[±×−–…“”≠]", body) == []
    markdown = WRITERS["markdown"](evaluations("named"), False)
    assert r"data/my\_50\%\_\<b\>\&x\|\*y\*.npz" in markdown.replace("50%", r"50\%")


@pytest.mark.parametrize("store", ["full", "controls"])
def test_a_fragment_is_the_documents_tables_each_with_a_label_of_its_own(evaluations, store):
    """And nothing that a document around it would have twice."""
    whole, fragment = (WRITERS[form](evaluations(store), True) for form in ("latex", "fragment"))
    tables = re.findall(r"\\begin\{table\}.*?\\end\{table\}", whole, re.DOTALL)
    assert re.findall(r"\\begin\{table\}.*?\\end\{table\}", fragment, re.DOTALL) == tables
    labels = re.findall(r"\\label\{(tab:[a-z0-9-]+)\}", fragment)
    assert len(set(labels)) == len(labels) == len(tables) > 1
    assert not any(
        word in fragment for word in ("documentclass", "usepackage", r"\begin{document}", r"\maketitle")
    )


def test_every_table_of_the_page_is_cards_on_a_phone(evaluations):
    """Which have a heading above each number, and say what is subtracted from what."""
    page = WRITERS["html"](evaluations("full"), True).partition("<h2>Figures")[0]
    assert page.count("<table") == page.count('<table class="cards">') > 1
    cells = re.findall(r"<td(?! class)([^>]*)>", page)
    assert cells
    assert all("data-label=" in cell for cell in cells)
    assert '<th scope="row" data-label="Ticket minus …">' in page


def test_latex_rows_have_as_many_cells_as_columns(evaluations):
    latex = WRITERS["latex"](evaluations("mixed"), True) + WRITERS["latex"](evaluations("controls"), True)
    tables = re.findall(r"\\begin\{tabular\}\{@\{\}(l+r+)@\{\}\}(.*?)\\end\{tabular\}", latex, re.DOTALL)
    assert len(tables) == 3 + 5
    for columns, body in tables:
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(columns) - 1}


def test_markdown_tables_are_whole(evaluations):
    text = WRITERS["markdown"](evaluations("mixed"), True)
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_json_keeps_its_schema(evaluations, name):
    schema = json.loads((files("ltsm.report") / "report.schema.json").read_text(encoding="utf-8"))
    check(json.loads(WRITERS["json"](evaluations(name), False)), schema, schema)


def check(value, schema, root):
    """As much of JSON Schema as ours uses."""
    if "$ref" in schema:
        return check(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    if "anyOf" in schema:
        return check(value, schema["anyOf"][1 if value is None else 0], root)
    assert "const" not in schema or value == schema["const"]
    assert "enum" not in schema or value in schema["enum"]
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    wanted = schema.get("type", [])
    wanted = [wanted] if isinstance(wanted, str) else wanted
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = [number and (k == "number" or isinstance(value, int)) if k in {"number", "integer"} else isinstance(value, kinds[k]) for k in wanted]  # fmt: skip
    assert not fits or any(fits), (value, schema)
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= set(value)
        for key, part in schema.get("properties", {}).items():
            check(value[key], part, root)
    if isinstance(value, list) and "items" in schema:
        for part in value:
            check(part, schema["items"], root)
    return None


def test_json_has_full_precision(evaluations):
    found = json.loads(WRITERS["json"](evaluations("full"), False))
    row = found["table"]["rows"][0]
    losses = [r.final_val_loss for r in evaluations("full").results if r.recipe == paper.TICKET]
    assert row["final_validation_loss"]["mean"] == pytest.approx(sum(losses) / 10, rel=1e-14)
    assert row["final_validation_loss"]["published"] == {"mean": 0.091, "sd": 0.007}


def test_csv_has_an_empty_field_where_there_is_no_number(evaluations):
    lines = WRITERS["csv"](evaluations("mixed"), True).splitlines()
    assert lines[0].startswith("label,category,n,diverged_seeds,relative_size_percent_mean,")
    assert lines[-1].startswith('"Hyperop (50, 15)",,0,,,,24.6,,,')
    assert len(lines) == 12


BYTES = """
import hashlib, sys
from pathlib import Path
from ltsm.report.document import WRITERS
from ltsm.report.all import figures
from ltsm.report.evaluation import load
from ltsm.report.figures.draw import draw
from ltsm.store import schema
store = schema.open_for_reading(Path(sys.argv[1]))
evaluation = load(store, None, records=True, bits=True)
for form, write in WRITERS.items():
    print(form, hashlib.sha256(write(evaluation, True).encode()).hexdigest())
for figure in (f for f in figures(evaluation) if f.number == 8):
    for form in ("png", "svg", "pdf"):
        print(figure.number, form, hashlib.sha256(draw(figure, form)).hexdigest())
"""


def test_time_zone_locale_and_hash_seed_change_no_byte(stores, tmp_path):
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 9\nfont.size: 30\n")
    here = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"}
    there = {
        "TZ": "America/New_York",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "2",
        "MATPLOTLIBRC": str(tmp_path),
    }
    found = [
        subprocess.run(
            [sys.executable, "-c", BYTES, str(stores("mixed"))],
            env=os.environ | surroundings,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for surroundings in (here, there)
    ]
    assert found[0] == found[1]
    assert found[0].count("\n") == len(WRITERS) + 3


def test_every_special_character_is_escaped():
    specials = '\\{}%_&#$~^<>|"±×−≠…–“”é日'
    assert escape.latex("a\nb  c") == "a b c"
    assert escape.latex(specials).endswith("é?")
    assert escape.markdown("a|b_c<d>&e\n") == r"a\|b\_c\<d\>\&e"


@pytest.mark.parametrize("form", WRITERS)
def test_every_document_by_accuracy_has_accuracies_and_no_table_of_losses(evaluations, form):
    text = WRITERS[form](evaluations("controls"), False, ACCURACY).lower()
    assert "final validation accuracy" in text or "final_validation_accuracy" in text
    assert "minimal validation loss" not in text.partition("<h2>figures")[0]
