"""Every screen, every key."""

import csv
import shutil
from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import made_up
import pytest
from textual.app import App
from textual.widget import Widget

from ltsm.dashboard.app import Dashboard
from ltsm.dashboard.moment import Choice
from ltsm.dashboard.screens.run import OneRun
from ltsm.dashboard.screens.windows import Choosing, Keys
from ltsm.dashboard.widgets.chart import Chart
from ltsm.dashboard.widgets.heading import Heading, pieces
from ltsm.dashboard.widgets.sheet import Sheet
from ltsm.dashboard.widgets.tones import THEMES
from ltsm.errors import LtsmError
from ltsm.protocol import PAPER
from ltsm.report.figures.values import Curve
from ltsm.store import claim, read, schema, write
from ltsm.store.values import Holder

SCREENS = {"1": "overview", "2": "curves", "3": "masks", "4": "table", "5": "runs"}
LEAVES = {"quit", "app.command_palette"}


@pytest.mark.parametrize("key", SCREENS)
async def test_every_binding_of_every_screen_can_be_pressed(watching, underway, key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with watching(underway, size=(40, 12)) as watched:
        await watched.press(key)
        bindings = watched.screen.active_bindings
        for pressed in sorted(name for name in bindings if bindings[name].binding.action not in LEAVES):
            await watched.press(pressed)
            while len(watched.app.screen_stack) > 1:
                await watched.press("escape")
            if SCREENS[key] != watched.screen.NAME:
                await watched.press(key)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("size", [(160, 50), (1, 1)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen_opens_in_every_size(watching, underway, size):
    async with watching(underway, size=size) as watched:
        for key, name in SCREENS.items():
            await watched.press(key)
            assert name == watched.screen.NAME


@pytest.mark.parametrize("key", SCREENS)
async def test_all_of_a_screen_fits_80_columns(watching, underway, key):
    async with watching(underway) as watched:
        await watched.press(key)
        await watched.until(lambda: "q Quit" in watched.text.splitlines()[-1])
        lines = watched.text.splitlines()
        assert len(lines) == 24
        assert all(f" {number} " in lines[1] for number in SCREENS)


async def test_in_40_columns_every_screen_still_has_its_number(watching, underway):
    async with watching(underway, size=(40, 12)) as watched:
        for key, title in zip(SCREENS, ("Overview", "Curves", "Masks", "Table", "Runs"), strict=True):
            await watched.press(key)
            tabs = watched.text.splitlines()[1]
            assert f" {key} {title} " in tabs
            assert all(f" {number} " in tabs for number in SCREENS)


async def test_the_clock_draws_its_line_and_no_other(watching, underway):
    async with watching(underway, size=(160, 50)) as watched:
        painted = []
        for widget in watched.screen.walk_children(Widget):
            widget.refresh = lambda *_, of=widget, **__: painted.append(of)
        watched.app.time += timedelta(days=40)
        assert {type(widget) for widget in painted} == {Heading}


async def test_a_look_that_changes_one_run_draws_one_line_of_the_grid(watching, underway, tmp_path):
    path = shutil.copytree(underway.parent, tmp_path / "results") / underway.name
    async with watching(path, size=(160, 50)) as watched:
        lines = []
        await watched.settle()  # the curves come after the first look
        watched.screen.grid.refresh = lambda *regions, **_: lines.append(regions)
        drawn = watched.screen.query_one(Chart).panel
        store = schema.open_for_writing(path)
        failed = next(run for run in read.runs(store) if run.state == "failed")
        write.stop(store, failed.id, "interrupted", None, made_up.NOW + timedelta(hours=1))
        store.close()
        await watched.look()
        assert [[(region.y, region.height) for region in regions] for regions in lines] == [[(3, 1)]]
        assert watched.screen.query_one(Chart).panel is drawn
        assert "3 interrupted" in watched.text


@pytest.mark.parametrize("theme", [*(theme.name for theme in THEMES), "textual-light"])
async def test_every_theme_shows_every_screen(watching, underway, theme):
    async with watching(underway) as watched:
        watched.app.theme = theme
        for key in "123":
            await watched.press(key)
            assert watched.text.strip()


async def test_without_colour_a_band_is_dots(watching, underway, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with watching(underway) as watched:
        await watched.press("3")
        accuracy = watched.screen.query_one("#accuracy", Chart)
        body = "".join(accuracy.render_line(y).text for y in range(1, accuracy.size.height - 2))
        assert sum("\u2801" <= glyph <= "\u28ff" for glyph in body) > 40


async def test_q_quits(watching, finished):
    async with watching(finished) as watched:
        await watched.press("q")
        assert not watched.app.is_running


async def test_the_palette_leads_to_every_screen(watching, finished):
    async with watching(finished) as watched:
        names = {command.title for command in watched.app.get_system_commands(watched.screen)}
        assert {
            "Overview",
            "Curves",
            "Masks",
            "Table",
            "Runs",
            "Protocol and study",
            "Theme",
            "Quit",
        } <= names


async def test_the_keys_window_lists_the_screens_own_keys(watching, finished):
    async with watching(finished) as watched:
        await watched.press("2", "question_mark")
        assert isinstance(watched.screen, Keys)
        assert "Show/hide" in watched.text
        assert "Log" in watched.text
        await watched.press("escape")
        assert watched.screen.NAME == "curves"


async def test_the_overview_tells_the_truth(watching, underway):
    with claim.claim(underway, "ltsm sweep", made_up.NOW):
        async with watching(underway, size=(260, 40)) as watched:
            text = watched.text
    assert "sweep silent for" in text  # by the clock of these tests nothing came for hours
    assert "38/42 runs done" in text
    assert "read-only" in text
    assert "✗ seed 1 hyperop (100, 15) failed at iteration 1,900: out of memory" in text
    assert "ltsm sweep --only 'hyperop (100, 15)' --seeds 1 --protocol 1 --store " in text
    assert "▶ seed 2 ticket" in text
    assert "1,900/5,000" in text


async def test_without_a_driver_a_run_is_shown_as_interrupted(watching, underway):
    async with watching(underway) as watched:
        assert "‖ interrupted" in watched.text
        assert "‖ 2 interrupted" in watched.text
        assert "▶" not in watched.text
        assert "4 wait: ltsm sweep --seeds 0-2 --protocol 1 --stor" in watched.text


async def test_enter_opens_the_run_under_the_cursor(watching, underway):
    async with watching(underway, size=(100, 75)) as watched:
        await watched.press("f", "enter")
        assert isinstance(watched.screen, OneRun)
        for expected in (
            "seed 1 hyperop (100, 15)",
            "out of memory",
            "Made-up CPU",
            "Random(stream=('hyperop', 100, 15))",
            "validation loss",
            "lr",
        ):
            assert expected in watched.text
        await watched.press("v")
        assert "validation accuracy" in watched.text
        await watched.press("l", "escape")
        assert watched.screen.NAME == "overview"


async def test_enter_on_a_search_leads_to_its_masks(watching, underway):
    async with watching(underway) as watched:
        await watched.press("right", "right", "enter")
        assert watched.screen.NAME == "masks"


async def test_curves_are_chosen_and_read_off(watching, finished):
    async with watching(finished, size=(130, 40)) as watched:
        await watched.press("2")
        assert "[a] Ticket" in watched.text
        assert "[b] Hyperop (200, 30)" in watched.text
        await watched.press("space")
        assert "[ ] Ticket" in watched.text
        await watched.press("a", "left")
        assert "at 5,000" in watched.text
        assert "[b]" not in watched.text
        await watched.press("left", "plus")
        assert "at 4,900" in watched.text
        assert watched.screen.view.window is not None
        await watched.press("0", "v", "v")
        assert "training loss" in watched.text
        await watched.press("s", "l")
        assert "single seeds" in watched.text
        assert watched.screen.view.log


def published(screen):
    """Where the dashed lines across are."""
    layers = screen.query_one(Chart).panel.layers
    return [layer.y[0] for layer in layers if isinstance(layer, Curve) and layer.dashed]


async def test_the_published_minimum_stands_beside_validation_loss_alone(watching, finished):
    """As a dashed line and in the legend. Taken out: the measure in `Curves._list`; accuracies stood beside losses."""
    async with watching(finished) as watched:
        await watched.press("2")
        assert published(watched.screen) == [0.078, 0.078]
        assert "paper min" in watched.text
        await watched.press("v")
        assert published(watched.screen) == []
        assert "paper min" not in watched.text


async def test_supermasks_beside_the_papers(watching, finished):
    async with watching(finished, size=(100, 30)) as watched:
        await watched.press("3")
        text = watched.text
        assert "0.049 ± 0.049" in text
        assert "42.6 ± 15.2" in text
        assert text.count("◇") == 6
        await watched.press("down", "down")
        assert watched.text.count("◆") == 2
        await watched.press("right", "right")
        assert "▲ 0.01" in watched.text
        assert "42.6 ± 15.2" not in watched.text
        await watched.press("0")
        assert "42.6 ± 15.2" in watched.text


async def test_the_considered_range_is_shaded(watching, finished):
    async with watching(finished) as watched:
        await watched.press("3")
        shade = watched.screen.query_one("#size", Chart).panel.layers[0]
        assert (shade.low, shade.high) == pytest.approx((-0.005, 0.205))


async def test_the_papers_table_has_ours_and_on_demand_the_published_and_sorts(watching, finished):
    async with watching(finished, size=(200, 30)) as watched:
        await watched.press("4")
        grid = watched.screen.grid
        assert "paper" not in {word for column in grid.columns for word in column.title.split()}
        await watched.press("a")
        assert "paper" in {word for column in grid.columns for word in column.title.split()}
        assert "p: Welch's t-test" in watched.text
        assert [row.group.label for row in grid.rows][:2] == ["ticket", "hyperop (200, 30)"]
        for expected in ("0.091 ± 0.007", "4340.0 ± 222.1", "38.7% ± 17.9"):
            assert expected in watched.text
        await watched.press("right", "right", "s")
        assert watched.screen.published, "s is for the order, a for what is shown"
        losses = [row.cells[1].ours.mean for row in grid.rows]
        assert losses == sorted(losses)
        await watched.press("s")
        assert [row.cells[1].ours.mean for row in grid.rows] == losses[::-1]
        await watched.press("o")
        assert grid.rows[0].group.label == "ticket"


async def test_runs_are_filtered_and_sorted(watching, underway):
    async with watching(underway) as watched:
        await watched.press("5")
        assert "42 of 42 runs" in watched.text
        await watched.press("slash", *"kind:t", "enter")
        assert "3 of 42 runs" in watched.text
        await watched.press("slash", *" seed:9-", "enter")
        assert "seeds are numbers and ranges" in watched.text
        await watched.press("slash", *["backspace"] * 20, "enter", "s", "s")
        assert watched.screen.grid.current.run.seed == 0, "the cursor stays with its run"
        assert watched.screen.grid.rows[0].run.seed == 2


async def test_runs_show_loss_accuracy_and_size_and_are_filtered_by_them(watching, underway):
    """In 80 columns. The last record of a run, and of a search that of its mask."""
    async with watching(underway) as watched:
        await watched.press("5")
        titles = watched.text.splitlines()[4].split()
        assert titles[:8] == ["seed", "recipe", "state", "loss", "accuracy,", "%", "size,", "%"]
        grid = watched.screen.grid
        shown = {(one.run.recipe, one.run.seed): one for one in grid.rows}
        mask = next(m for m in watched.app.moment.masks.values() if m.seed == 1)
        assert shown["supermask", 1].accuracy == mask.val_accuracy
        typed = "loss<0.1 accuracy>=97% or (size<20% and not state:done)"
        await watched.press("slash", *typed)
        assert len(grid.rows) not in {0, 42}
        assert all(
            (one.loss < 0.1 and one.accuracy >= 0.97)
            or (one.run.relative_size < 0.2 and one.run.state != "done")
            for one in grid.rows
        )


async def test_what_is_no_filter_is_said_under_the_line_and_leaves_the_list(watching, underway):
    async with watching(underway) as watched:
        await watched.press("5", "slash", *"loss<0.1")
        found = len(watched.screen.grid.rows)
        for typed, said in (
            ("loss<0.1 or", "this is no filter: a field or a word is missing at the end."),
            ("lss<0.1", "there is no 'lss' to filter by. (one of kind, recipe"),
            ("loss<0.1 xyz", "no run has 'xyz' in its name."),
        ):
            watched.screen.query_one("#filter").value = typed
            await watched.settle()
            assert said in watched.text.splitlines()[3]
            assert len(watched.screen.grid.rows) == found
            assert watched.screen.query_one("#found").has_class("-wrong")
            shown = watched.text.splitlines()
            end = next(i for i, text in enumerate(shown) if "recipe  " in text)
            assert " ".join(" ".join(shown[3:end]).split()).endswith(")"), "nor is what would be one cut off"
        watched.screen.query_one("#filter").value = "loss<0.1"
        await watched.settle()
        assert watched.text.splitlines()[3].strip() == f"{found} of 42 runs"


async def test_typing_in_the_filter_presses_no_keys(watching, underway):
    async with watching(underway) as watched:
        await watched.press("5", "slash", *"sqpe13")
        assert watched.screen.NAME == "runs"
        assert watched.app.is_running


async def test_a_protocol_and_study_is_chosen(watching, underway):
    async with watching(underway) as watched:
        await watched.press("p")
        assert isinstance(watched.screen, Choosing)
        await watched.press("enter")
        assert watched.app.source.choice == Choice("1", "paper", underway)
        assert watched.screen.NAME == "overview"


async def test_the_mouse_does_what_keys_do(watching, finished):
    async with watching(finished) as watched:
        assert await watched.pilot.click("Navigation", offset=(14, 0))
        await watched.settle()
        assert watched.screen.NAME == "curves"
        await watched.pilot.click(Chart, offset=(40, 5))
        await watched.settle()
        assert watched.screen.view.cursor is not None
        await watched.press("5")
        await watched.pilot.click("#runs", offset=(20, 3))
        await watched.settle()
        assert watched.screen.grid.row == 2
        await watched.pilot.click("#runs", offset=(3, 0))
        await watched.settle()
        assert watched.screen.grid.by == (0, False)
        await watched.pilot.click("#runs", offset=(20, 4), times=2)
        await watched.settle()
        assert isinstance(watched.screen, OneRun)


async def test_copy_and_export(watching, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with watching(finished) as watched:
        for key, name in SCREENS.items():
            await watched.press(key, "y")
            assert "\n" not in watched.app.clipboard
            await watched.press("Y")
            assert "\n" in watched.app.clipboard
            await watched.press("e", "e", "E")
            stem = f"ltsm-paper-{name}"
            assert {path.name for path in tmp_path.glob(f"{stem}*")} == {
                f"{stem}.csv",
                f"{stem}-2.csv",
                f"{stem}.svg",
            }
        assert "Wrote ltsm-paper-runs.svg" in {note.message for note in watched.app._notifications}
    table = (tmp_path / "ltsm-paper-table.csv").read_text()
    assert table.splitlines()[0].startswith("network,n,final loss,final loss ±,minimal loss,")
    assert len((tmp_path / "ltsm-paper-runs.csv").read_text().splitlines()) == 43
    assert (tmp_path / "ltsm-paper-curves.svg").read_text().startswith("<svg")


async def test_a_folder_that_cannot_be_written_is_a_sentence(watching, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with watching(finished) as watched:
        tmp_path.rmdir()
        await watched.press("e")
        (note,) = watched.app._notifications
        assert note.message.startswith("cannot write ltsm-paper-overview.csv")


class Alone(App[None]):
    """A sheet by itself."""

    def compose(self):
        yield Sheet(key=lambda row: row, id="sheet")


async def test_only_rows_in_sight_are_turned_into_text():
    from ltsm.dashboard.widgets.columns import Column

    drawn = set()
    column = Column(title="row", width=8, value=int, text=lambda row: drawn.add(row) or str(row))
    async with Alone().run_test(size=(20, 10)) as pilot:
        sheet = pilot.app.query_one(Sheet)
        sheet.show(range(100_000), [column])
        await pilot.pause()
        await pilot.press("end", "pageup")
        assert sheet.current == 100_000 - 1 - 8
        assert len(drawn) < 40


async def test_the_cursor_stays_with_its_row_when_others_come_before_it():
    from ltsm.dashboard.widgets.columns import Column

    async with Alone().run_test(size=(20, 10)) as pilot:
        sheet = pilot.app.query_one(Sheet)
        sheet.show([5, 6, 7], [Column(title="", width=3, value=int, text=str)])
        await pilot.press("down")
        sheet.show([1, 2, 3, 5, 6, 7])
        assert sheet.current == 6
        sheet.show([])
        assert sheet.current is None
        await pilot.press("down", "end", "up", "home", "pagedown")


async def test_no_name_is_taken_for_markup(watching, tmp_path, monkeypatch):
    """A protocol's in the list of protocols, what is typed into the filter, a file's that cannot be written."""
    monkeypatch.chdir(tmp_path)
    name = "a[/x]b [bold]c"
    path = made_up.evaluation(tmp_path / "ltsm.db", seeds=(0,), protocol=PAPER.changed(name=name))
    async with watching(path, size=(120, 40)) as watched:
        await watched.press("p")
        assert f"1  {name}  (mnist)  paper" in watched.text
        await watched.press("escape", "5", "slash")
        watched.screen.query_one("#filter").value = "[/x]:3"
        await watched.until(lambda: "there is no '[/x]' to filter by" in watched.text)
        monkeypatch.setattr("ltsm.dashboard.files.write", Mock(side_effect=LtsmError("cannot write [/x].")))
        watched.screen.action_export_csv()
        await watched.until(lambda: len(watched.app._notifications))
        (notice,) = watched.app._notifications
        assert (notice.message, notice.markup) == ("cannot write [/x].", False)


async def test_what_is_exported_has_every_deviation_that_is_shown(watching, finished, tmp_path, monkeypatch):
    """A ± in the table is a column in the file."""
    monkeypatch.chdir(tmp_path)
    async with watching(finished, size=(200, 50)) as watched:
        await watched.press("4", "a", "e")
        grid = watched.screen.grid
        shown = [c.title.replace("\n", " ") for c in grid.columns if any("±" in c.text(r) for r in grid.rows)]
        assert len(shown) >= 6
    with (tmp_path / "ltsm-paper-table.csv").open() as file:
        row = next(csv.DictReader(file))
    assert {f"{title} ±" for title in shown} <= row.keys()
    assert float(row["final loss ours ±"]) > 0
    assert float(row["final loss paper ±"]) == 0.007


async def test_a_picture_holds_no_notes(finished, tmp_path, monkeypatch):
    """Also where one was on the screen a moment ago."""
    monkeypatch.chdir(tmp_path)
    app = Dashboard(finished)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        while app.moment is None:
            await pilot.pause()
        await pilot.press("y")
        while "clipboard" not in app.export_screenshot():
            await pilot.pause()
        await pilot.press("E")
        while not list(tmp_path.glob("*.svg")):
            await pilot.pause()
    (picture,) = tmp_path.glob("*.svg")
    assert "clipboard" not in picture.read_text()
    assert "done" in picture.read_text()


async def test_ctrl_c_names_the_key_of_the_footer(watching, finished):
    async with watching(finished) as watched:
        await watched.press("ctrl+c")
        (note,) = watched.app._notifications
        assert note.message.startswith("q quits")
        assert {b.key for b in watched.app.BINDINGS if b.action == "quit"} == {"q"}


async def test_a_sweep_that_records_nothing_is_said_to_be_silent(watching, underway):
    """Stopped or hanging, it still holds the store; how long it has been silent is what can be seen."""
    async with watching(underway) as watched:
        moment = replace(watched.app.moment, holder=Holder(42, "here", None, "ltsm sweep"))
        for seconds, words in (
            (5, "▶ sweep running"),
            (600, "▶? sweep silent for 10 min, process 42"),
        ):
            said = [piece.long for piece in pieces(moment, moment.newest + timedelta(seconds=seconds))]
            assert words in said
