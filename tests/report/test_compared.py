"""Protocols side by side, on stores whose every number is known."""

import csv
import io
import json
import math
import re
from dataclasses import replace

import made_up
import own_study
import pytest
from pages import stands_alone

from ltsm.errors import UsageError
from ltsm.protocol import PAPER
from ltsm.report import compared_documents as documents
from ltsm.report.all import contents
from ltsm.report.compared import compare
from ltsm.report.evaluation import load
from ltsm.report.figures.compared import figure
from ltsm.report.figures.draw import draw
from ltsm.report.figures.values import Curve
from ltsm.report.measure import ACCURACY, LOSS
from ltsm.report.statistics import Summary, two_sample, welch
from ltsm.store import schema
from ltsm.studies import all as studies

ONE = PAPER.changed(name="one", hidden=(4,))
FASTER = PAPER.changed(name="faster", hidden=(4,), lr=0.01)
BETTER = {name: tuple(loss - 0.05 for loss in of) for name, of in own_study.LOSSES.items()}
SPREAD = {"narrow": (0.2, 0.31, 0.3, 0.33, 0.3)}


@pytest.fixture
def sides(tmp_path, monkeypatch):
    """Evaluations of the study of one's own under several protocols of one store, by their losses."""
    monkeypatch.setitem(studies.STUDIES, "widths", own_study.study)

    def evaluated(*losses, **how):
        path = tmp_path / "own.db"
        protocols = [ONE, FASTER, PAPER.changed(name="third", hidden=(4,), lr=0.02)]
        for protocol, of_seeds in zip(protocols, losses, strict=False):
            made_up.exact(path, own_study.study(), of_seeds, protocol=protocol, **how)
        store = schema.open_for_reading(path)
        found = [(p.name, load(store, p.name, "widths", records=True)) for p in protocols[: len(losses)]]
        store.close()
        return found

    return evaluated


def part(found, name="final_validation_loss"):
    return next(part for part in found.parts if part.column.name == name)


def line(found, label, name="final_validation_loss"):
    return next(line for line in part(found, name).lines if line.label == label)


def test_rows_stand_side_by_side_with_their_deviations_and_paired_differences(sides):
    found = compare(sides(own_study.curves(), own_study.curves(BETTER)), LOSS)
    narrow = line(found, "Narrow ones")
    assert [s.mean for s in narrow.sides] == pytest.approx([0.34, 0.29])
    assert [s.sd for s in narrow.sides] == pytest.approx([0.0316227766] * 2)
    (versus,) = narrow.versus
    assert versus.paired
    assert (versus.found.difference.n, versus.found.lower) == (5, 5)
    assert versus.found.difference.mean == pytest.approx(-0.05)
    assert versus.found.difference.sd == pytest.approx(0, abs=1e-12)


def test_the_interval_is_that_of_a_paired_t_test(sides):
    """Worked out here by hand: Student's t of four degrees of freedom is 2.776."""
    other = {**own_study.LOSSES, **SPREAD}
    (narrow,) = line(compare(sides(own_study.curves(), own_study.curves(other)), LOSS), "Narrow ones").versus
    pair = narrow.found
    found = [0.2 - 0.30, 0.31 - 0.32, 0.3 - 0.34, 0.33 - 0.36, 0.3 - 0.38]
    mean, sd = sum(found) / 5, math.sqrt(sum((x - sum(found) / 5) ** 2 for x in found) / 4)
    assert (pair.difference.mean, pair.difference.sd) == pytest.approx((mean, sd))
    half = 2.7764451 * sd / math.sqrt(5)
    assert (pair.interval.low, pair.interval.high) == pytest.approx((mean - half, mean + half))


def test_only_seeds_that_both_have_are_paired(sides):
    later = {(name, seed + 2): records for (name, seed), records in own_study.curves(BETTER).items()}
    found = compare(sides(own_study.curves(), later), LOSS)
    assert line(found, "Narrow ones").versus[0].found.difference.n == 3
    assert dict(found.settings)["seeds run"] == ("0-4", "2-6")
    (claim,) = found.claims
    assert claim.sentence == "Not enough seeds to say what differs: 3 in common, at least 5 needed."
    assert "−" in documents.text(found), "a difference is shown all the same"


def test_without_a_common_seed_two_means_are_compared_by_welch(sides):
    later = {(name, seed + 10): records for (name, seed), records in own_study.curves(SPREAD).items()}
    found = compare(sides(own_study.curves(), later), LOSS)
    narrow = line(found, "Narrow ones")
    (versus,) = narrow.versus
    assert not versus.paired
    assert versus.found.p == welch(*narrow.sides)
    assert versus.found.difference.mean == pytest.approx(narrow.sides[1].mean - narrow.sides[0].mean)
    assert "“means”: no seed in common" in documents.text(found)
    assert line(found, "Wide ones").versus[0].found.difference.n == 0, "not run under the second"


def test_the_interval_of_two_means_leaves_0_out_exactly_when_p_is_small():
    for distance in (0.0, 0.5, 1.0, 1.5, 3.0):
        interval, p = two_sample(Summary(6, distance, 1.0), Summary(9, 0.0, 1.4))
        assert (interval.low <= 0 <= interval.high) == (p >= 0.05)
    assert math.isnan(two_sample(Summary(1, 1.0, math.nan), Summary(5, 0.0, 1.0))[1])


def test_only_what_differs_in_the_settings_is_shown(sides):
    found = compare(sides(own_study.curves(), own_study.curves(BETTER)), LOSS)
    assert found.settings == (("lr", ("0.0012", "0.01")),)


def test_sizes_that_cannot_vary_are_not_tested(sides):
    found = compare(sides(own_study.curves(), own_study.curves(BETTER)), LOSS)
    assert part(found, "relative_size_percent").tested == 0
    assert not any(claim.name.startswith("relative_size") for claim in found.claims)


def test_words_follow_the_corrected_p(sides):
    found = compare(sides(own_study.curves(), own_study.curves(BETTER)), LOSS)
    final = next(claim for claim in found.claims if claim.name == "final_validation_loss_of_B")
    assert final.answer == "yes"
    assert final.sentence.startswith(
        "Final validation loss under B beside A: lower for Narrow ones, Wide ones"
    )


def test_three_sides_are_each_compared_with_the_first(sides):
    found = compare(sides(own_study.curves(), own_study.curves(BETTER), own_study.curves()), LOSS)
    means = [v.found.difference.mean for v in line(found, "Narrow ones").versus]
    assert means == pytest.approx([-0.05, 0.0])
    text = documents.text(found)
    assert all(heading in text for heading in ("A: one", "B: faster", "C: third"))


def test_by_accuracy_the_columns_are_accuracies(sides):
    found = compare(sides(own_study.curves(), own_study.curves(BETTER)), ACCURACY)
    assert [p.column.name for p in found.parts] == [
        "relative_size_percent",
        "untrained_validation_accuracy_percent",
        "final_validation_accuracy_percent",
    ]


def test_the_same_rows_as_in_each_ones_own_report(sides):
    both = sides(own_study.curves(), own_study.curves(BETTER), masks=own_study.masks())
    found = compare(both, LOSS)
    for i, (_, evaluation) in enumerate(both):
        for row in contents(evaluation).table.rows:
            for cell in row.cells:
                ours = line(found, row.label, cell.column.name).sides[i]
                assert (ours.n, cell.column.text(ours)) == (cell.ours.n, cell.text)


@pytest.mark.parametrize("form", documents.WRITERS)
def test_every_form_has_every_side_and_the_same_text_twice(sides, form):
    both = sides(own_study.curves(), own_study.curves(BETTER))
    text = documents.WRITERS[form](compare(both, LOSS))
    assert text == documents.WRITERS[form](compare(both, LOSS))
    assert "one" in text
    assert "faster" in text
    assert not re.search(r"\bnan\b", text.lower())


def test_markdown_tables_are_whole(sides):
    text = documents.WRITERS["markdown"](compare(sides(own_study.curves(), own_study.curves(BETTER)), LOSS))
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) >= 4
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_the_page_stands_alone_and_has_the_curves_and_each_sides_settings(sides):
    found = compare(sides(own_study.curves(), own_study.curves(BETTER)), LOSS)
    page = stands_alone(documents.html(found))
    assert page.count("<figure") == 1
    for letter in ("A: one", "B: faster"):
        assert f"<h2>Protocol of {letter}" in page
        assert f"<h2>Provenance of {letter}" in page
    assert len(re.findall("<h2 id=", page)) == len(documents.grids(found))
    assert "Narrow ones." in documents.html(found, ["narrow"])
    with pytest.raises(UsageError, match="no group 'deep'"):
        documents.html(found, ["deep"])


def test_json_and_csv_have_every_number(sides):
    found = compare(sides(own_study.curves(), own_study.curves(BETTER)), LOSS)
    value = json.loads(documents.as_json(found))
    assert (value["schema"], value["version"]) == ("ltsm-comparison", 1)
    assert [side["letter"] for side in value["sides"]] == ["A", "B"]
    column = next(c for c in value["columns"] if c["name"] == "final_validation_loss")
    row = next(r for r in column["rows"] if r["label"] == "Narrow ones")
    assert row["sides"][1]["mean"] == pytest.approx(0.29)
    assert row["differences"][0]["difference"]["mean"] == pytest.approx(-0.05)
    assert (row["differences"][0]["letter"], row["differences"][0]["minus"]) == ("B", "A")
    lines = [*csv.DictReader(io.StringIO(documents.csv(found)))]
    (of_b,) = (
        r
        for r in lines
        if (r["column"], r["label"], r["side"]) == ("final_validation_loss", "Narrow ones", "B")
    )
    assert float(of_b["difference_mean"]) == pytest.approx(-0.05)
    assert (of_b["protocol"], of_b["paired"], of_b["difference_n"]) == ("faster", "yes", "5")


def test_the_figure_overlays_the_curves_of_each_group(sides):
    found = compare(sides(own_study.curves(), own_study.curves(BETTER)), LOSS)
    drawn = figure(found)
    assert [panel.title for panel in drawn.panels] == ["Narrow ones", "Wide ones", "Wide, half-way"]
    for panel in drawn.panels:
        curves = [layer for layer in panel.layers if isinstance(layer, Curve)]
        assert len(curves) == 2
        assert curves[0].y[-1] - curves[1].y[-1] == pytest.approx(0.05)
        assert curves[0].style != curves[1].style
    labels = [layer.label for layer in drawn.panels[0].layers if isinstance(layer, Curve)]
    assert labels == ["A: one", "B: faster"]
    assert "1 more group not shown" in drawn.caption
    assert draw(drawn, "svg").startswith(b"<?xml")


def test_the_figures_groups_are_named(sides):
    found = compare(sides(own_study.curves(), own_study.curves(BETTER)), LOSS)
    (panel,) = figure(replace(found, measure=ACCURACY), ["half-way"]).panels
    assert panel.y.label == "Validation accuracy (%)"
    with pytest.raises(UsageError, match="there is no group 'deep': there are Narrow ones, Wide ones"):
        figure(found, ["deep"])
    many = [replace(found.sides[0].table.rows[0], label=f"network {i}") for i in range(7)]
    wide = [replace(side, table=replace(side.table, rows=tuple(many))) for side in found.sides]
    with pytest.raises(UsageError, match="7 groups are too many for one figure: at most 6 fit"):
        figure(replace(found, sides=tuple(wide)), ["network"])


def test_a_run_that_diverged_is_said_by_its_sides_letter(sides):
    curves = own_study.curves()
    curves["narrow", 3][-1] = (200, math.nan, 0.1)
    found = compare(sides(curves, own_study.curves(BETTER)), LOSS)
    assert "A: Narrow ones diverged for seed 3: left out of its means." in found.notes
    assert line(found, "Narrow ones").versus[0].found.difference.n == 4
    assert "(n = 4)" in documents.text(found)
