"""Named pipes, devices and endless files in the place of files, and sizes that are announced and not there."""

import json
import os
import resource
import stat
from pathlib import Path

import pytest
from safetensors.torch import load, save
from torture.oracle import refused

from ltsm import regular
from ltsm.core.network import Network, initial_values
from ltsm.core.state import digest, metadata
from ltsm.errors import StoreError
from ltsm.library.chains import Chain
from ltsm.library.files import read_weights
from ltsm.library.ticket_file import load_ticket, save_ticket, ticket_bytes, ticket_from_bytes
from ltsm.library.tickets import Recipe, Ticket
from ltsm.store import artifacts, read, schema
from ltsm.store.values import Artifact

READERS = (["status"], ["report"], ["db", "check"], ["db", "backup", "copy/ltsm.db"])


@pytest.fixture
def gigabytes():
    """No more than three gigabytes of addresses: what takes more fails here and not the machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + 3 * 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("command", READERS, ids=" ".join)
@pytest.mark.parametrize("suffix", ["", "-wal", ".lock"])
def test_a_named_pipe_in_the_place_of_a_store_hangs_nothing(ltsm, command, suffix):
    """Taken out: `regular.opened`; each command waited for somebody to write into the pipe."""
    assert ltsm.start("init").ended() == 0
    name = ltsm.store.with_name(f"ltsm.db{suffix}")
    name.unlink(missing_ok=True)
    os.mkfifo(name)
    run = ltsm.start(*command)
    if suffix == ".lock":  # nobody writes: a reader has no need of it
        assert run.ended(20) in {0, 3}, run.words
    else:
        run.ended(20)
        assert "it is a named pipe, not a file" in " ".join(refused(run, 3).split())
    sweep = ltsm.sweep()
    sweep.ended(20)
    assert "named pipe" in refused(sweep, 3)
    assert stat.S_ISFIFO(name.stat().st_mode)


@pytest.mark.parametrize("command", [["db", "check"], ["db", "backup", "copy/ltsm.db"]], ids=" ".join)
def test_a_named_pipe_in_the_place_of_weights_hangs_nothing(ltsm, command):
    assert ltsm.sweep().ended() == 0, ltsm.words
    weights = next(ltsm.store.parent.glob("weights/*/*/*/final*"))
    weights.unlink()
    os.mkfifo(weights)
    run = ltsm.start(*command)
    assert run.ended(20) == 3, run.words
    assert "it is a named pipe, not a file" in " ".join(run.words.split())


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_weights_and_tickets_are_files(tmp_path, name, kind):
    path = tmp_path / name
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    for reading in (read_weights, load_ticket):
        with pytest.raises(StoreError, match=r"it is a (named pipe|device), not a file"):
            reading(path)


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors", "ticket.safetensors"])
def test_a_sparse_file_of_100_gb_is_not_read(tmp_path, gigabytes, name):
    """Taken out: `refuse_size`; MemoryError."""
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(100 * 10**9)
    with pytest.raises(StoreError, match="its 100,000,000,000 bytes are more than"):
        (load_ticket if "ticket" in name else read_weights)(path)


def test_a_sparse_file_in_the_place_of_weights_takes_no_memory(tmp_path, gigabytes):
    """Hashed piece by piece before it is taken in. Taken out: `file_digest` for `read`; MemoryError."""
    (tmp_path / "weights").mkdir()
    path = tmp_path / "weights" / "final.safetensors"
    with path.open("wb") as file:
        file.truncate(4 * 10**9)
    with pytest.raises(StoreError, match=r"SHA-256 differs|bytes are more than"):
        artifacts.read(tmp_path, Artifact("weights/final.safetensors", "00"))


@pytest.mark.parametrize("device", ["pipe", "/dev/null", "/dev/stdout", "folder"])
def test_nothing_is_renamed_over_what_is_no_file(tmp_path, device):
    """Taken out: `replaceable`; as root it replaced the device, and every program's /dev/null was a ticket."""
    path = tmp_path / device
    if device == "pipe":
        os.mkfifo(path)
    elif device == "folder":
        path.mkdir()
    else:  # a node of our own, or a link to it where that is not allowed: never the machine's
        path = tmp_path / "device"
        path.symlink_to("/dev/null")
    before = os.lstat(path)
    with pytest.raises(StoreError, match=r"it is a (named pipe|device), not a file|Is a directory"):
        save_ticket(ticket(), path)
    assert os.lstat(path) == before
    assert Path("/dev/null").is_char_device()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_through_a_link_the_file_itself_is_replaced(tmp_path):
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    save_ticket(ticket(), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load_ticket(tmp_path / "there").mask


def ticket(sizes=(4, 3, 2)):
    network = Network(sizes)
    chain = Chain(network, tuple(str(2 * n) for n in range(len(sizes) - 1)))
    initial = chain.views(initial_values(network, 0, "initial"))
    mask = {name: values > 0 for name, values in initial.items()}
    kept = {name: values * mask[name] for name, values in initial.items()}
    return Ticket(
        mask=mask,
        initial=kept,
        trained=None,
        records=(),
        chain=chain,
        recipe=Recipe(0, ("initial",)),
        about={},
    )


def forged(units):
    """A small ticket's file that announces other sizes, under its own right digest."""
    content = ticket_bytes(ticket())
    description = json.loads(metadata(content)["ltsm_ticket"])
    description["network"]["sizes"] = [units, units, 2]
    shapes = {"0.weight": [units, units], "0.bias": [units], "2.weight": [2, units], "2.bias": [2]}
    description["entries"] = [[name, shape, "float32", False] for name, shape in shapes.items()]
    tensors = load(content)
    tensors["mask"] = tensors["mask"][:0]
    description.pop("sha256")
    description["sha256"] = digest(description, tensors)
    return save(tensors, {"ltsm_ticket": json.dumps(description)})


@pytest.mark.parametrize("units", [10**6, 20_000, 5_000])
def test_a_ticket_that_announces_more_than_it_holds_allocates_nothing(gigabytes, units):
    """Taken out: `_fits`'s bound; MemoryError for 10⁶ × 10⁶ units, and 4.9 GB for 20,000 × 20,000."""
    content = forged(units)
    assert len(content) < 2_000
    with pytest.raises(StoreError, match="no ticket file, or only a part of one"):
        ticket_from_bytes(content)


def test_a_large_ticket_with_a_small_mask_holds_its_values_itself():
    """So that what is written can be read."""
    sizes = (2_000, 1_000, 10)
    network = Network(sizes)
    chain = Chain(network, ("0", "2"))
    initial = chain.views(initial_values(network, 0, "initial"))
    mask = {"2.weight": initial["2.weight"] > 0}
    kept = {name: values * mask[name] if name in mask else values for name, values in initial.items()}
    large = Ticket(
        mask=mask,
        initial=kept,
        trained=None,
        records=(),
        chain=chain,
        recipe=Recipe(0, ("initial",)),
        about={},
    )
    again = ticket_from_bytes(ticket_bytes(large))
    assert all(bool((again.initial[name] == kept[name]).all()) for name in kept)


def test_half_of_the_memory_is_the_limit_of_all(monkeypatch, tmp_path):
    monkeypatch.setattr(regular, "_memory", lambda: 2_000)
    (tmp_path / "file").write_bytes(bytes(1_001))
    with pytest.raises(OSError, match="its 1,001 bytes are more than the 1,000"):
        regular.read(tmp_path / "file")


def test_a_store_is_whole_after_all_this(ltsm):
    assert ltsm.sweep().ended() == 0
    store = schema.open_for_reading(ltsm.store)
    assert read.faults(store) == []
    store.close()
