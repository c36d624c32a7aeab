"""`ltsm prune` and `ltsm ticket` as a user types them: on a sweep's weights, and on networks of one's own."""

from __future__ import annotations

import copy
import json
import sqlite3
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from small import SMALL, execution, ticking
from torch import nn
from typer.testing import CliRunner

from ltsm.cli.commands import app
from ltsm.core.masking import pack_bits
from ltsm.errors import DataError, LtsmError, RunError, StoreError, UsageError
from ltsm.store import schema

MODULE = """
import torch
from torch import nn

class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.full((6,), 0.25))
        self.first = nn.Linear(6, 8)
        self.scale = nn.Parameter(torch.ones(1)) if EXTRA else 1.0
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        return self.last(torch.sigmoid(self.first(x - self.mean))) * self.scale

def plain(): return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
def deep(): return nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 5),
                                 nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
def fails(): raise ValueError("no such size")
def text(): return "a network"
"""


def ltsm(*arguments):
    """What it prints; its errors are raised."""
    found = CliRunner().invoke(app, [str(a) for a in arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture(autouse=True)
def one_thread():
    """On small networks several threads only wait for each other; `prune` sets the number itself."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A folder with a finished store of two seeds on digits."""
    folder = tmp_path_factory.mktemp("swept")
    with schema.writer(folder / "ltsm.db", "test", ticking()()) as store:
        execution(store).run()
    return folder


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A folder to stand in, with data and networks of one's own in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("LTSM_STORE", "LTSM_DATA"):
        monkeypatch.delenv(name, raising=False)
    generator = np.random.default_rng(3)
    labels = np.sort(np.arange(240) % 3)
    images = np.eye(3).repeat(2, 1)[labels] + 0.4 * generator.normal(size=(240, 6))
    np.savez("mine.npz", x_train=images, y_train=labels, x_val=images[::3], y_val=labels[::3])
    for name, extra in (("own_plain", False), ("own_extra", True)):
        (tmp_path / f"{name}.py").write_text(f"EXTRA = {extra}\n{MODULE}")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def train(model, folder, suffix=".pt"):
    """A plain PyTorch loop, and the two files that it leaves."""
    with np.load("mine.npz") as file:
        images, labels = torch.tensor(file["x_train"]).float(), torch.tensor(file["y_train"])
    initial = copy.deepcopy(model.state_dict())
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimiser.step()
    for name, state in (("initial", initial), ("trained", model.state_dict())):
        write = save_file if suffix == ".safetensors" else torch.save
        write(state, str(folder / f"{name}{suffix}"))
    return [f"--initial=initial{suffix}", f"--trained=trained{suffix}", "--data=mine.npz"]


def weights(folder, seed):
    connection = sqlite3.connect(folder / "ltsm.db")
    (initial, final) = connection.execute(
        "SELECT first.path, last.path FROM run JOIN file AS first ON first.run_id = run.id"
        " JOIN file AS last ON last.run_id = run.id WHERE seed = ? AND kind = 'baseline'"
        " AND first.role = 'initial' AND last.role = 'final'",
        (seed,),
    ).fetchone()
    masks = connection.execute(
        "SELECT amount, mask.relative_size, val_accuracy, val_loss, bits, selected FROM mask"
        " JOIN run ON run.id = mask.run_id WHERE seed = ? ORDER BY amount",
        (seed,),
    ).fetchall()
    connection.close()
    return folder / initial, folder / final, masks


@pytest.mark.parametrize("command", ["prune", "ticket export", "ticket show", "ticket evaluate"])
def test_every_help_opens_with_examples(command):
    shown = ltsm(*command.split(), "--help")
    assert shown.split("\n", 3)[3].strip().startswith("Examples:")
    assert f"ltsm {command}" in shown.partition("Examples:")[2]


def test_a_tickets_file_of_any_name_is_shown(swept, room):
    """Nothing in it is taken for markup."""
    Path("runs[a]").mkdir()
    ltsm("ticket", "export", "--store", swept / "ltsm.db", "--seed", 1, "--out", "runs[a]/t.ticket")
    assert "runs[a]/t.ticket" in ltsm("ticket", "show", "runs[a]/t.ticket")


class TestOnASweep:
    @pytest.mark.parametrize("seed", [0, 1])
    def test_prune_finds_the_sweeps_own_mask_bit_for_bit(self, swept, room, seed):
        """And every threshold's size, accuracy and loss."""
        initial, final, masks = weights(swept, seed)
        found = json.loads(
            ltsm("prune", "--initial", initial, "--trained", final, "--data", "digits", "--thresholds=-0.1:0.4:0.05",
                 "--select=0:0.2", "--json", "--out", "out")
        )  # fmt: skip
        rows = [
            (t["threshold"], t["relative_size"], t["val_accuracy"], t["val_loss"])
            for t in found["thresholds"]
        ]
        assert rows == [row[:4] for row in masks]
        selected = next(row for row in masks if row[5])
        assert {k: found["selected"][k] for k in ("threshold", "relative_size", "val_accuracy")} == {
            "threshold": selected[0], "relative_size": selected[1], "val_accuracy": selected[2],
        }  # fmt: skip
        mask = load_file("out/mask.safetensors")
        flat = torch.cat([mask[f"{i}.{part}"].flatten() for i in (0, 2, 4) for part in ("weight", "bias")])
        assert pack_bits(flat) == selected[4]

    def test_a_ticket_of_a_seed_evaluates_as_recorded(self, swept, room):
        """On another machine, in another folder: nothing but the file is needed."""
        store = swept / "ltsm.db"
        assert ltsm("ticket", "export", "--store", store, "--seed", 1, "--trained").strip() == "seed-1.ticket"
        rows = json.loads(ltsm("ticket", "evaluate", "seed-1.ticket", "--json"))["networks"]
        assert [row["network"] for row in rows] == ["untrained", "trained"]
        assert all(row["as_recorded"] for row in rows)
        assert "to the last image" in ltsm("ticket", "evaluate", "seed-1.ticket")
        shown = json.loads(ltsm("ticket", "show", "seed-1.ticket", "--json"))
        assert (shown["network"], shown["initial_values"], shown["seed"]) == (
            "64-12-6-10",
            "from the seed",
            1,
        )
        assert "64-12-6-10" in ltsm("ticket", "show", "seed-1.ticket")

    def test_every_format_gives_the_same_logits(self, swept, room):
        """safetensors, a PyTorch file, ONNX; trained, and as they were before."""
        for which, flag in (("trained", "--trained"), ("untrained", "--untrained")):
            for suffix in ("ticket", "safetensors", "pt", "onnx"):
                ltsm(
                    "ticket",
                    "export",
                    "--store",
                    swept / "ltsm.db",
                    "--seed",
                    0,
                    flag,
                    "-o",
                    f"{which}.{suffix}",
                )
            state = load_file(f"{which}.safetensors")
            assert state.keys() == torch.load(f"{which}.pt", weights_only=True).keys()
            model = nn.Sequential(nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 10))
            model.load_state_dict(torch.load(f"{which}.pt", weights_only=True))
            images = torch.linspace(0, 1, 5 * 64).view(5, 64)
            session = onnxruntime.InferenceSession(f"{which}.onnx", providers=["CPUExecutionProvider"])
            (logits,) = session.run(None, {"images": images.numpy()})
            assert torch.allclose(torch.from_numpy(logits), model(images), atol=1e-5)
        assert Path("untrained.ticket").stat().st_size < Path("trained.ticket").stat().st_size

    def test_a_run_is_named_by_its_id_or_its_seed(self, swept, room):
        """The search names its ticket too, untrained; a dense network has none."""
        connection = sqlite3.connect(swept / "ltsm.db")
        ids = dict(connection.execute("SELECT kind, id FROM run WHERE seed = 1"))
        connection.close()
        store = ("--store", swept / "ltsm.db")
        ltsm("ticket", "export", *store, ids["ticket"], "-o", "a.ticket")
        ltsm("ticket", "export", *store, "--seed", 1, "-o", "b.ticket")
        assert Path("a.ticket").read_bytes() == Path("b.ticket").read_bytes()
        for arguments, error, words in (
            ([ids["hyperop"]], UsageError, r"is hyperop \(.*\): it has no mask"),
            ([9999], StoreError, "there is no run '9999'"),
            (["--seed", 7], StoreError, "has no ticket of seed 7"),
            ([], UsageError, "name one run"),
            (["--seed", 1, "-o", "a.txt"], UsageError, "none of the suffixes"),
        ):
            with pytest.raises(error, match=words):
                ltsm("ticket", "export", *store, *arguments)

    def test_changed_data_is_refused(self, swept, room):
        """The ticket knows what it was made with."""
        ltsm("ticket", "export", "--store", swept / "ltsm.db", "--seed", 1)
        with pytest.raises(DataError, match="an image has 6 numbers"):
            ltsm("ticket", "evaluate", "seed-1.ticket", "--data", "mine.npz")


@pytest.mark.parametrize(
    ("network", "suffix"),
    [("plain", ".pt"), ("deep", ".safetensors"), ("Own", ".safetensors"), ("Own", ".pt")],
)
def test_a_network_of_ones_own(room, network, suffix):
    """Plain, deep with tanh, with names and buffers of its own: --network makes it; masks agree with masks by hand."""
    import own_plain

    torch.manual_seed(0)
    files = train(getattr(own_plain, network)(), room, suffix)
    named = ["--network", f"own_plain:{network}"]
    found = json.loads(ltsm("prune", *files, *named, "--json", "--train", "--iterations", 50, "--out", "out"))
    read = load_file if suffix == ".safetensors" else torch.load
    before, after = read(f"initial{suffix}"), read(f"trained{suffix}")
    mask, kept = load_file("out/mask.safetensors"), load_file("out/ticket.safetensors")
    for name, flags in mask.items():
        threshold = torch.tensor(found["selected"]["threshold"])
        assert torch.equal(flags, torch.sign(before[name]) * after[name] >= threshold)
        assert not kept[name][~flags].any()
    assert "mean" not in mask
    assert [r["iteration"] for r in found["training"]] == [0, 50]
    rows = json.loads(
        ltsm("ticket", "evaluate", "out/network.ticket", "--data", "mine.npz", *named, "--json")
    )
    assert all(row["as_recorded"] for row in rows["networks"])


def test_the_order_of_ones_own_data_is_said(room):
    """It is reshuffled, unless it shall not be."""
    import own_plain

    files = train(own_plain.plain(), room)
    for order, words in (([], "reshuffled every epoch"), (["--order", "file"], "in file order")):
        found = CliRunner().invoke(app, ["prune", *files, "--train", "--iterations", "5", *order])
        assert words in found.stderr
        assert "trained for 5 iterations" in found.stdout
        assert "← selected" in found.stdout


def test_a_parameter_of_ones_own_is_left_alone_by_choice(room):
    """Without --only-linear it is refused by name."""
    import own_extra

    files = [*train(own_extra.Own(), room), "--network", "own_extra:Own"]
    with pytest.raises(UsageError, match=r"does not cover scale \(Own\)"):
        ltsm("prune", *files)
    found = CliRunner().invoke(app, ["prune", *files, "--only-linear"])
    assert "left alone, with their initial values: scale" in found.stderr


class TestRefusals:
    @pytest.fixture
    def files(self, room):
        import own_plain

        torch.save(own_plain.plain(), "whole.pt")
        Path("text.pt").write_text("no weights")
        torch.save({"epoch": 3}, "empty.pt")
        torch.save(nn.Linear(9, 9).state_dict(), "other.pt")
        state = own_plain.plain().state_dict()
        torch.save(state | {"2.weight": state["2.weight"].to_sparse()}, "sparse.pt")
        return train(own_plain.plain(), room)

    @pytest.mark.parametrize(
        ("arguments", "error", "words"),
        [
            (["--trained=whole.pt"], StoreError, "holds more than weights"),
            (["--trained=text.pt"], StoreError, "more than weights|no file of weights"),
            (["--trained=empty.pt"], StoreError, "holds no state dict"),
            (["--trained=none.pt"], StoreError, "cannot read none.pt: No such file"),
            (["--trained=mine.npz"], StoreError, "weights"),
            (["--trained=other.pt"], UsageError, "the trained weights lack '0.weight'"),
            (["--trained=sparse.pt"], UsageError, "sparse.pt: '2.weight' is a sparse_coo tensor"),
            (["--initial=sparse.pt"], UsageError, "sparse.pt: '2.weight' is a sparse_coo tensor"),
            (["--trained=initial.pt"], UsageError, "are the trained ones"),
            (["--data=none.npz"], DataError, "there is no data"),
            (["--data=digits"], DataError, "an image has 64 numbers"),
            (["--data=digits", "--network=own_plain:Own"], UsageError, "lack 'first.weight'"),
            (["--network=own_plain"], UsageError, "named as module:function"),
            (["--network=own_plain:nothing"], UsageError, "no function 'nothing' in own_plain"),
            (["--network=nowhere:make"], UsageError, "No module named 'nowhere'"),
            (
                ["--network=own_plain:fails"],
                RunError,
                r"fails: ValueError: no such size \(.*own_plain.py, line \d+\)",
            ),
            (["--network=own_plain:text"], UsageError, "gives str, not a torch.nn.Module"),
            (["--thresholds=1"], UsageError, "--thresholds takes 3 numbers"),
            (["--thresholds=0:1:nan"], UsageError, "--thresholds takes 3 numbers"),
            (["--select=5:6"], UsageError, "no threshold lies in"),
            (["--activation=cosine"], UsageError, "activation must be"),
            (["--out=initial.pt"], StoreError, "cannot write"),
        ],
    )
    def test_each_in_a_sentence(self, files, arguments, error, words):
        """In the place of the good options."""
        given = [argument.split("=")[0] for argument in arguments]
        good = [file for file in files if file.split("=")[0] not in given]
        with pytest.raises(error, match=words) as caught:
            ltsm("prune", *good, *arguments)
        assert "\n" not in caught.value.message

    def test_damaged_tickets(self, files):
        """A flipped bit; another network; a network that is not named."""
        import own_plain

        ltsm("prune", *files, "--out", "out")
        made = Path("out/network.ticket").read_bytes()
        content = bytearray(made)
        content[-5] ^= 1
        Path("flipped.ticket").write_bytes(content)
        for arguments, words in (
            (["show", "flipped.ticket"], "its contents differ from its own SHA-256"),
            (["evaluate", "flipped.ticket"], "its contents differ"),
            (["show", "mine.npz"], "no ticket file"),
            (["export", "out/network.ticket", "--trained", "-o", "t.pt"], "has not been trained"),
            (["export", "out/network.ticket"], "--out says what to make of it"),
            (["export", "out/network.ticket", "-o", "out/../out/network.ticket"], "would be written over"),
            (
                ["evaluate", "out/network.ticket", "--network", "own_plain:deep"],
                "a ticket of another network",
            ),
        ):
            with pytest.raises(LtsmError, match=words):
                ltsm("ticket", *arguments)
        assert Path("out/network.ticket").read_bytes() == made
        assert not list(Path().glob("seed-*"))
        train(own_plain.Own(), Path())
        ltsm("prune", *files, "--network=own_plain:Own", "--out", "own")
        with pytest.raises(UsageError, match="of one's own"):
            ltsm("ticket", "evaluate", "own/network.ticket")
        with pytest.raises(
            RunError, match=r"forward pass on images of shape \(360, 64\) fails.*own_plain\.py, line"
        ):
            ltsm("ticket", "evaluate", "own/network.ticket", "--network=own_plain:Own", "--data=digits")


def test_the_three_classes_of_a_file_of_ones_own_go_through_everything(room):
    """Sweep, report and dashboard's reading; a moved file has nothing left to do."""
    from ltsm.dashboard.source import Source

    Path("small.toml").write_text(
        f'seeds = "0-1"\nhidden = [8, 6, 4]\niterations = {SMALL.iterations}\ninitial_iterations = 200\n'
        "record_every = 20\nthreshold_step = 0.1\nlr = 0.01\n"
    )
    sweep = ["sweep", "--protocol", "small.toml", "--store", "s.db", "--jobs", "1", "--dataset"]
    ltsm(*sweep, "mine.npz")
    report = json.loads(ltsm("report", "--store", "s.db", "--json"))
    assert "order=shuffled" in json.dumps(report)
    assert "mine.npz#" in json.dumps(report)
    Path("elsewhere").mkdir()
    Path("mine.npz").rename("elsewhere/mine.npz")
    assert "0 of 28 runs to do" in ltsm(*sweep, "elsewhere/mine.npz", "--dry-run")
    assert Source(Path("s.db")).look() is not None


class TestWholeNetworks:
    """What the whole network does, before and after training, is said first."""

    @pytest.fixture
    def files(self, room):
        import own_plain

        torch.manual_seed(1)
        return train(own_plain.plain(), room)

    def said(self, *arguments):
        found = CliRunner().invoke(app, ["prune", *arguments])
        assert found.exit_code == 0, found.output
        (line,) = (line for line in found.stderr.splitlines() if line.startswith("the trained network"))
        return line, found

    def test_its_accuracy_is_said_and_in_the_json(self, files):
        first, _ = self.said(*files)
        found = json.loads(ltsm("prune", *files, "--json"))
        assert found["trained_accuracy"] > 0.9 > found["initial_accuracy"]
        assert first.startswith(f"the trained network classifies {found['trained_accuracy']:.2%} of the 80")
        assert first.endswith(f"it classified {found['initial_accuracy']:.2%}")

    def test_a_forgotten_activation_shows_there(self, files):
        """Of the same weights the accuracy is another one."""
        assert self.said(*files)[0] != self.said(*files, "--activation", "tanh")[0]

    def test_ours_and_the_module_agree(self, files):
        assert self.said(*files)[0] == self.said(*files, "--network", "own_plain:plain")[0]

    def test_swapped_files_are_noticed(self, files):
        swapped = ["--initial=trained.pt", "--trained=initial.pt", files[2]]
        assert "are --initial and --trained swapped?" in self.said(*swapped)[1].stderr
        assert "swapped" not in self.said(*files)[1].stderr


def test_prune_writes_over_nothing_unless_forced(room):
    """A trained ticket stays what it is; any of the files is enough to be refused, before anything is computed."""
    import own_plain

    files = [*train(own_plain.plain(), room), "--out", "out"]
    ltsm("prune", *files, "--train", "--iterations", 5)
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    assert len(before) == 5
    with pytest.raises(UsageError, match="is there already"):
        ltsm("prune", *files)
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before
    for path in before:
        for other in before:
            other.unlink(missing_ok=True)
        path.touch()
        with pytest.raises(UsageError, match=path.name):
            ltsm("prune", *files)
    ltsm("prune", *files, "--force")
    assert Path("out/network.ticket").read_bytes() != before[Path("out/network.ticket")]
