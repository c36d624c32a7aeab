"""README.md, and what docs/ say came out: it can have come out, they say the same, and every page is found."""

from __future__ import annotations

import math
import re
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from ltsm.protocol import PAPER
from ltsm.report.paper import published
from ltsm.report.paper.table_1 import COLUMNS
from ltsm.report.statistics import Summary, welch
from ltsm.store import schema
from ltsm.studies import names

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {page.name: page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")}
RESULTS, LIMITS = (" ".join(PAGES[name].split()) for name in ("results.md", "limits.md"))
"""In one line: where sentences wrap says nothing."""
PAPERS = published.table_1()


def cells_of(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def table() -> dict[str, list[str]]:
    """Label → the eight cells of that row: ours and the paper's in turns."""
    rows = re.findall(r"^\| (?:Lottery ticket|Hyperop \().*\|$", PAGES["results.md"], re.MULTILINE)
    found = {label: cells for label, *cells in map(cells_of, rows)}
    assert len(rows) == len(found)
    return found


TABLE = table()


def ours(label: str, i: int) -> Summary:
    """Our cell as a number; what has not the form of its column is none."""
    digits, unit = COLUMNS[i].digits, COLUMNS[i].unit
    spread = "" if math.isnan(PAPERS[label].cells[COLUMNS[i].name].sd) else rf" ± (\d+\.\d{{{digits}}})"
    found = re.fullmatch(rf"(\d+\.\d{{{digits}}}){unit}{spread}", TABLE[label][2 * i])
    assert found, f"{label}, {COLUMNS[i].heading}: {TABLE[label][2 * i]}"
    mean, *sd = map(float, found.groups())
    return Summary(published.seeds(), mean, *(sd or [math.nan]))


def parameters(hidden: tuple[int, ...]) -> int:
    return sum((a + 1) * b for a, b in pairwise((784, *hidden, 10)))


def label_of(hidden: tuple[int, ...]) -> str:
    return f"Hyperop {names.sizes(hidden)}" + " [baseline]" * (hidden == PAPER.hidden)


def test_table_1_has_the_papers_rows_and_columns():
    """In an order of their own: rows stand by groups, and the groups are computed from our losses."""
    assert set(TABLE) == set(PAPERS)
    assert {len(cells) for cells in TABLE.values()} == {2 * len(COLUMNS)}


@pytest.mark.parametrize("label", PAPERS)
def test_the_published_numbers_are_the_papers(label):
    assert TABLE[label][1::2] == [column.text(PAPERS[label].cells[column.name]) for column in COLUMNS]


@pytest.mark.parametrize("label", PAPERS)
def test_our_numbers_have_the_form_of_their_column(label):
    """Once, all dense networks' cells were those of another table: differences, intervals, p and counts."""
    for i in range(len(COLUMNS)):
        assert ours(label, i).mean > 0


def test_a_dense_networks_size_is_exact():
    for hidden in PAPER.hyperops:
        share = 100 * parameters(hidden) / parameters(PAPER.hidden)
        assert TABLE[label_of(hidden)][0] == f"{share:.1f}%"


@pytest.mark.parametrize("label", PAPERS)
def test_our_numbers_can_be(label):
    """A minimum is no higher than the end, and ten iterations that are multiples of 100 have a mean of tens."""
    size, final, least, at = (ours(label, i) for i in range(4))
    assert 0 < size.mean <= 100
    assert least.mean <= final.mean
    assert 0 < at.mean <= PAPER.iterations
    assert at.mean % 10 == 0


def least_p() -> dict[tuple[str, int], float]:
    """Welch's p of every cell that has one, from the printed digits; the least first."""
    found = {
        (label, i): welch(ours(label, i), PAPERS[label].cells[COLUMNS[i].name])
        for label in PAPERS
        for i in range(len(COLUMNS))
    }
    return {cell: p for cell, p in sorted(found.items(), key=lambda pair: pair[1]) if not math.isnan(p)}


def test_the_least_p_are_those_of_the_table():
    """As the section names them: of the means, and none below 0.01."""
    said = re.search(
        r"no mean differs at p < 0\.01; the least p are those of iterations of the minimal loss: "
        r"hyperop (\(.+?\))'s ([\d.]+), (\(.+?\))'s ([\d.]+) and the ticket's ([\d.]+)\.",
        RESULTS,
    )
    assert said
    one, p_one, two, p_two, p_ticket = said.groups()
    wanted = {f"Hyperop {one}": p_one, f"Hyperop {two}": p_two, "Lottery ticket": p_ticket}
    found = list(least_p().items())[:3]
    assert {label: f"{p:.2g}" for (label, _), p in found} == wanted
    assert {i for (_, i), _ in found} == {3}
    assert found[0][1] > 0.01


def test_the_differences_are_those_of_the_table():
    """As far as printed digits can tell: a mean of differences is the difference of means."""
    size, final = ours("Lottery ticket", 0), ours("Lottery ticket", 1)
    assert f"by {100 - size.mean:.1f} percentage points" in RESULTS
    said = re.search(r"minus the baseline architecture's −(\d\.\d{3}) \(", RESULTS)
    assert said
    dense = ours(label_of(PAPER.hidden), 1)
    assert -float(said[1]) == pytest.approx(final.mean - dense.mean, abs=0.0015)


def test_the_limits_say_the_same_ranges():
    """docs/limits.md rounds what docs/results.md says; once, it kept an earlier kernel's numbers."""
    size = re.search(r"the relative size from (\d+) % to (\d+) %", RESULTS)
    accuracy = re.search(r"the supermask's accuracy, untrained, from ([\d.]+) % to ([\d.]+) %", RESULTS)
    assert size
    assert accuracy
    assert f"relative sizes from {size[1]} % to {size[2]} % come out" in LIMITS
    low, high = (f"{float(share):.0f} %" for share in accuracy.groups())
    assert f"supermasks classify {low} to {high} of MNIST" in LIMITS


@pytest.mark.parametrize("name", ["protocol", "recipe", "run", "file", "need", "metric", "mask"])
def test_the_stores_columns_are_in_its_table(tmp_path, name):
    """Each by its name, but for `id`, files' `…_sha256` and times, which are said in a word."""
    store = tmp_path / "ltsm.db"
    schema.open_for_writing(store).close()
    with closing(sqlite3.connect(store)) as database:
        columns = {row[1] for row in database.execute(f"PRAGMA table_info({name})")}
    row = re.search(rf"^\| `{name}` \|.*$", PAGES["store.md"], re.MULTILINE)
    assert row
    said = set(re.findall(r"`(\w+)`", row[0]))
    implied = {"id", *(f"{column}_sha256" for column in said), *(c for c in columns if c.endswith("_at"))}
    assert columns - said <= implied


def plain(text: str) -> str:
    """Without spaces before per cent signs, as tables are printed."""
    return text.replace(" %", "%")


class TestReadme:
    def test_its_first_screen_is_a_sentence_commands_and_a_picture(self):
        """A reader who knows nothing of it: no statistics before the first command."""
        before, commands, after = re.split(r"```(?:sh)?\n", README, maxsplit=2)
        assert len(commands.splitlines()) == 3
        assert after.strip().startswith("![")
        assert not re.search(r"±|p =|interval|hyperop", before)
        assert len(before.split()) < 60

    def test_it_is_short(self):
        assert len(README.split()) < 900

    def test_its_numbers_are_those_of_the_pages(self):
        """Each cell of its table stands in docs/results.md or docs/studies.md."""
        rows = re.findall(r"^\| (?:lottery ticket|the whole network).*\|$", README, re.MULTILINE)
        said = [plain(cell) for row in rows for cell in cells_of(row)[1:] if "±" in cell]
        assert len(said) == 7
        for cell in said:
            assert cell in RESULTS or cell in PAGES["studies.md"]

    def test_every_page_is_linked_and_every_link_leads_somewhere(self):
        linked = set(re.findall(r"\]\(docs/(\w+\.md)\)", README))
        linked |= {link for page in linked for link in re.findall(r"\]\((\w+\.md)\)", PAGES[page])}
        assert linked == PAGES.keys()
        for folder, text in [(ROOT, README), *((ROOT / "docs", page) for page in PAGES.values())]:
            for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
                assert link.startswith("http") or (folder / link).exists(), link

    def test_every_word_of_the_field_is_explained_where_it_first_stands(self):
        for word in ("supermask", "lottery ticket", "hyperop"):
            assert README.lower().find(word) == README.find(f"**{word}") + 2


def test_every_schema_that_is_printed_is_on_its_page_with_its_version():
    sources = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "ltsm").rglob("*.py"))
    printed = dict(re.findall(r'as_json\(\s*"(ltsm-[a-z-]+)", (\d+)', sources))
    assert len(printed) > 10
    rows = [cells_of(r) for r in re.findall(r"^\| `ltsm-.*\|$", PAGES["commands.md"], re.MULTILINE)]
    said = {schema: row[1] for row in rows for schema in re.findall(r"`(ltsm-[a-z-]+)`", row[0])}
    elsewhere = ("ltsm-comparison", "ltsm-export", "ltsm-verify", "ltsm-verify-claims")
    assert said == printed | {"ltsm-report": "2"} | dict.fromkeys(elsewhere, "1")
