"""Several stores at once: `p` chooses among the protocols of all, and what is pinned of one stays beside another's."""

import shutil
import sqlite3
from pathlib import Path

import made_up
import pytest
from textual.widgets import OptionList

from ltsm.cli.dashboard import beside
from ltsm.dashboard.stores import short_names
from ltsm.dashboard.widgets.chart import Chart
from ltsm.errors import LtsmError, StoreError, UsageError
from ltsm.report.figures.values import Curve
from ltsm.store import schema

SCHEMAS = Path(__file__).parents[1] / "store/schemas"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    return made_up.evaluation(tmp_path_factory.mktemp("here") / "ltsm.db", seeds=(0, 1))


@pytest.fixture(scope="module")
def worse(tmp_path_factory):
    """Another store with the same protocol, the same ids and half as much again of every loss."""
    return made_up.evaluation(tmp_path_factory.mktemp("worse") / "ltsm.db", seeds=(0, 1), factor=1.5)


def last_values(watched):
    """The last value of each line of the chart, by its letter."""
    layers = watched.screen.query_one(Chart).panel.layers
    return {
        layer.label: layer.y[-1] for layer in layers if isinstance(layer, Curve) and layer.label and layer.y
    }


def line(watched, name):
    return next(entry for entry in watched.screen.legend.rows if entry.line.name == name)


async def choose(watched, place):
    await watched.press("p", "home", *["down"] * place, "enter")
    await watched.look()


async def test_a_group_pinned_in_one_store_stays_beside_those_of_another(watching, here, worse):
    """Its values are that store's, though protocol and runs have the same numbers in both."""
    async with watching(here, beside=[worse], size=(100, 30)) as watched:
        await watched.press("2")
        lower = last_values(watched)["a"]
        await choose(watched, 1)
        assert watched.app.moment.path == worse
        assert watched.text.startswith(f"{worse.parent.name} · ")
        higher = last_values(watched)["a"]
        assert higher == pytest.approx(1.5 * lower, rel=0.01)
        await watched.press("home", "i")
        assert watched.app._notifications
        await choose(watched, 1)  # the shown store's own come first
        assert watched.app.moment.path == here
        name = f"{worse.parent.name}:1: Ticket"
        entry = line(watched, name)
        assert entry.pinned
        assert (last_values(watched)["a"], last_values(watched)[entry.tag]) == (lower, higher)
        assert name in watched.text
        await watched.press("home", "i")
        assert watched.app.pins == ()
        assert name not in watched.text


async def test_a_run_of_another_store_is_pinned_from_its_list(watching, here, worse):
    async with watching(here, beside=[worse], size=(100, 30)) as watched:
        await choose(watched, 1)
        await watched.press("5", "slash", *"kind:ticket seed:1", "enter", "i")
        await choose(watched, 1)
        await watched.press("2")
        entry = line(watched, f"{worse.parent.name}:1: Ticket, seed 1")
        assert (entry.line.started, entry.at.n) == (1, 1)
        assert watched.app.moment.path == here


async def test_the_list_of_protocols_names_the_store_only_where_there_are_several(watching, here, worse):
    async def listed(watched):
        await watched.press("p")
        options = watched.screen.query_one(OptionList)
        found = [str(options.get_option_at_index(i).prompt) for i in range(options.option_count)]
        await watched.press("escape")
        return found

    async with watching(here) as watched:
        assert await listed(watched) == ["1  paper  (mnist)  paper"]
    async with watching(here, beside=[worse]) as watched:
        assert await listed(watched) == [
            f"{path.parent.name}:1  paper  (mnist)  paper" for path in (here, worse)
        ]


async def test_what_changes_in_a_store_beside_is_drawn(watching, here, tmp_path):
    other = made_up.evaluation(tmp_path / "o.db", seeds=(0,), states={("ticket", 0): "pending"})
    async with watching(here, beside=[other], size=(100, 30)) as watched:
        await choose(watched, 1)
        await watched.press("2")
        await watched.press("home", "i")
        await choose(watched, 1)
        assert line(watched, "o:1: Ticket").line.started == 0
        made_up.evaluation(other, seeds=(1,))
        await watched.look()
        assert line(watched, "o:1: Ticket").line.started == 1


async def test_a_store_beside_that_goes_away_is_said_and_the_other_is_shown_on(
    watching, here, worse, tmp_path
):
    """In a reader's words, once; what is pinned of it draws nothing until it is there again."""
    other = tmp_path / "ltsm.db"
    shutil.copy(worse, other)
    async with watching(here, beside=[other], size=(100, 30)) as watched:
        await choose(watched, 1)
        await watched.press("2", "home", "i")
        await choose(watched, 1)
        name = f"{tmp_path.name}:1: Ticket"
        assert line(watched, name).tag in last_values(watched)
        watched.app.clear_notifications()
        other.rename(tmp_path / "away.db")
        await watched.look()
        await watched.look()
        assert [n.message for n in watched.app._notifications] == [f"there is no store at {other}."]
        assert watched.app.problem is None
        assert line(watched, name).line.started == 0
        assert last_values(watched)["a"]
        (tmp_path / "away.db").rename(other)
        await watched.look()
        assert line(watched, name).tag in last_values(watched)


async def test_the_store_may_come_to_be_after_the_one_beside_it(watching, worse, tmp_path):
    path = tmp_path / "later.db"
    async with watching(path, beside=[worse]) as watched:
        assert watched.app.moment is None
        made_up.evaluation(path, seeds=(0,))
        await watched.look()
        assert (watched.app.moment.path, [*watched.app.moment.beside]) == (path, [worse])


class TestWhatMayStandBeside:
    """As every reader refuses a store, in the same words."""

    @pytest.fixture(params=["missing", "empty", "foreign", "old"])
    def refused(self, request, tmp_path):
        path = tmp_path / "other.db"
        if request.param == "empty":
            path.touch()
        if request.param == "foreign":
            sqlite3.connect(path).execute("CREATE TABLE t(x)").connection.close()
        if request.param == "old":
            shutil.copy(SCHEMAS / "0001/ltsm.db", path)
        return path

    def test_the_same_sentence(self, refused, here):
        with pytest.raises(StoreError) as of_reader:
            schema.open_for_reading(refused)
        with pytest.raises(LtsmError) as of_dashboard:
            beside(here, str(refused))
        assert (of_dashboard.value.message, of_dashboard.value.hint) == (
            of_reader.value.message,
            of_reader.value.hint,
        )

    def test_not_the_store_itself(self, here, tmp_path):
        link = tmp_path / "link.db"
        link.symlink_to(here)
        with pytest.raises(UsageError, match="none beside it"):
            beside(here, str(link))


def test_stores_are_called_by_what_tells_them_apart():
    assert [*short_names([Path("results/ltsm.db")]).values()] == [""]
    assert [*short_names([Path("results/ltsm.db"), Path("old.db")]).values()] == ["ltsm", "old"]
    assert [*short_names([Path("a/ltsm.db"), Path("b/ltsm.db")]).values()] == ["a", "b"]
    both = [Path("/a/x/ltsm.db"), Path("/b/x/ltsm.db")]
    assert [*short_names(both).values()] == [str(path) for path in both]
