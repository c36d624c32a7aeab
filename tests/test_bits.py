"""The bits of whole sweeps, which no change of the program changes: each run's weights, records and masks.

`bits.json` was made by version 0.1.0, by the kernel's variants with fused multiplication and addition (AVX-512 and
AVX2 give the same bits) and by the one without.
"""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ltsm.core import sparse_library
from ltsm.core.datasets import missing

KNOWN = json.loads(Path(__file__).with_name("bits.json").read_text())
KIND = {"avx512": "fused", "avx2": "fused", "baseline": "plain"}
BEST = sparse_library.variant() if not os.environ.get(sparse_library.CHOICE) else ""
SMOKE = ("--smoke", "--dataset", "digits")


def digest(values):
    return hashlib.sha256(values if isinstance(values, bytes) else json.dumps(values).encode()).hexdigest()


def bits(path):
    """One digest a run: of its start, its weights and its records; of a search, of every mask and what it achieves."""
    store, found = sqlite3.connect(path), {}
    query = "SELECT run.id, seed, recipe.name, state FROM run JOIN recipe ON recipe.id = recipe_id"
    for run_id, seed, name, state in store.execute(query):
        assert state == "done"
        files = dict(store.execute("SELECT role, sha256 FROM file WHERE run_id = ?", (run_id,)))
        masks = store.execute(
            "SELECT amount, relative_size, layer_sizes, val_loss, val_accuracy, selected, hex(bits) FROM mask"
            " WHERE run_id = ? ORDER BY amount",
            (run_id,),
        )
        records = store.execute(
            "SELECT iteration, train_loss, val_loss, val_accuracy FROM metric WHERE run_id = ? ORDER BY iteration",
            (run_id,),
        ).fetchall()
        rows = [[a, size, json.loads(sizes), *rest, b.lower()] for a, size, sizes, *rest, b in masks]
        found[f"seed {seed} {name}"] = digest(
            rows if "final" not in files else [files["initial"], files["final"], records]
        )
    for name, sha256 in store.execute("SELECT path, sha256 FROM file"):
        assert digest((Path(path).parent / name).read_bytes()) == sha256
    store.close()
    return found


@pytest.fixture(params=["avx512", "avx2", "baseline"])
def variant(request):
    """Each variant of the kernel that runs here."""
    return usable(request.param)


def usable(name):
    if not BEST:
        pytest.skip("the kernel was not compiled here: PyTorch's bits are those of its version")
    if sparse_library.VARIANTS.index(name) > sparse_library.VARIANTS.index(BEST):
        pytest.skip(f"this processor does not run the variant {name}")
    return name


def sweep(path, *arguments, variant=BEST, kills=0):
    """A sweep that is killed so many times, each time a few runs later, before it is let to its end."""
    command = [sys.executable, "-m", "ltsm", "sweep", "--store", str(path), *arguments]
    environment = {**os.environ, sparse_library.CHOICE: variant, "LTSM_DEVICE": "cpu"}
    for lines in range(2, 2 + kills):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            for _ in range(lines):
                assert process.stderr.readline()
            process.kill()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    store = sqlite3.connect(path)
    assert store.execute("SELECT DISTINCT device FROM run").fetchall() == [(f"sparse-{variant}",)]
    store.close()


def expect(path, what, variant):
    """Every run that was known is there, with the bits that it had; none is missing and none too much."""
    found, known = bits(path), KNOWN[KIND[variant]][what]
    assert [name for name in known if found.get(name) != known[name]] == []
    assert found.keys() == known.keys()


def test_each_variant_gives_the_bits_that_it_gave(variant, tmp_path):
    sweep(tmp_path / "ltsm.db", *SMOKE, "--jobs", "1", variant=variant)
    expect(tmp_path / "ltsm.db", "smoke on digits", variant)


@pytest.mark.parametrize("kills", [0, 3])
def test_so_do_two_workers_and_a_sweep_that_was_killed(kills, tmp_path):
    variant = usable(BEST or "baseline")
    sweep(tmp_path / "ltsm.db", *SMOKE, "--jobs", "2", kills=kills)
    expect(tmp_path / "ltsm.db", "smoke on digits", variant)


@pytest.fixture
def mnist():
    """The folder of the real MNIST."""
    places = [Path(os.environ["LTSM_DATA"])] if os.environ.get("LTSM_DATA") else []
    places += [Path(__file__).parents[1] / "data", Path(__file__).parents[2] / "shared" / "data"]
    found = next((place for place in places if not missing("mnist", place)), None)
    if found is None:
        pytest.skip("the real MNIST is not here: ltsm data get")
    return ("--data", str(found))


@pytest.mark.mnist
def test_smoke_gives_the_bits_that_it_gave(mnist, tmp_path):
    variant = usable(BEST or "baseline")
    sweep(tmp_path / "ltsm.db", "--smoke", *mnist)
    expect(tmp_path / "ltsm.db", "smoke", variant)


@pytest.mark.mnist
@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_the_papers_ten_seeds_give_the_bits_that_they_gave(mnist, tmp_path):
    variant = usable(BEST or "baseline")
    if "paper" not in KNOWN[KIND[variant]]:
        pytest.skip(f"the ten seeds were never run by the variant {variant}")
    sweep(tmp_path / "ltsm.db", *mnist)
    expect(tmp_path / "ltsm.db", "paper", variant)
