"""The settings that decide a result: defaults, names, files, and what is refused."""

import dataclasses
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ltsm.errors import UsageError
from ltsm.protocol import (
    FRANKLE,
    PAPER,
    PRESETS,
    SMOKE,
    Protocol,
    format_seeds,
    from_settings,
    in_small,
    load,
    parse_seeds,
    parse_sizes,
    scaled_hyperops,
    settled,
    to_toml,
)


def test_the_default_is_the_papers():
    """Sections 3.1 to 3.5, number by number."""
    p = Protocol()
    assert (p.dataset, p.hidden, p.lr, p.batch_size) == ("mnist", (200, 30), 0.0012, 60)
    assert (p.initial_iterations, p.iterations, p.record_every) == (20_000, 5_000, 100)
    assert (p.order, p.pixels, p.mask, p.activation) == ("file", "raw", "all", "relu")
    assert p.seeds == tuple(range(10))
    assert len(p.hyperops) == 10


def test_no_threshold_lies_beyond_the_last_and_none_comes_twice():
    assert PAPER.changed(threshold_min=0.0, threshold_max=0.16, threshold_step=0.1).thresholds == (0.0, 0.1)
    fine = PAPER.changed(
        threshold_min=0.0, threshold_max=1e-7, threshold_step=1e-9, select_max=0.0
    ).thresholds
    assert len(set(fine)) == len(fine) == 101
    with pytest.raises(UsageError, match="threshold_step of at least 1e-09"):
        PAPER.changed(threshold_min=0.0, threshold_max=1e-11, threshold_step=1e-13)


def test_thresholds_are_exact_hundredths_and_selected_only_inside_the_papers_range():
    assert PAPER.thresholds == tuple(i / 100 for i in range(-10, 41))
    selectable = [t for t in PAPER.thresholds if PAPER.selectable(t)]
    assert selectable == [i / 100 for i in range(21)]
    assert str(PAPER.thresholds[10]) == "0.0"


def test_the_papers_hyperops_are_its_sizes_scaled():
    assert scaled_hyperops((200, 30)) == PAPER.hyperops
    assert PAPER.changed(hidden=(400, 60)).hyperops[1] == (100, 10)
    assert scaled_hyperops((2,)) == ((2,), (1,))


def test_every_deciding_setting_changes_the_fingerprint_and_no_other_does():
    changes = {
        "dataset": "digits", "train_size": 7, "validation_size": 7, "pixels": "standardised", "hidden": (3,),
        "activation": "tanh", "lr": 0.5, "beta1": 0.5, "beta2": 0.5, "epsilon": 0.5, "batch_size": 7,
        "order": "shuffled", "initial_iterations": 7, "iterations": 7, "record_every": 7, "mask": "weights",
        "threshold_min": -0.2, "threshold_max": 0.3, "threshold_step": 0.1, "select_min": 0.1, "select_max": 0.1,
        "hyperops": ((3,),), "initialisation": "glorot_normal", "biases": "zero", "held_out": 7,
    }  # fmt: skip
    assert set(changes) | {"name", "seeds"} == {f.name for f in dataclasses.fields(Protocol)}
    prints = {dataclasses.replace(PAPER, **{k: v}).fingerprint for k, v in changes.items()}
    assert len(prints | {PAPER.fingerprint}) == len(changes) + 1
    assert dataclasses.replace(PAPER, name="mine", seeds=(3,)).fingerprint == PAPER.fingerprint


def test_the_papers_fingerprint_never_changes():
    """Stores in the world name it: a changed default or a new field would orphan their runs."""
    assert PAPER.fingerprint.startswith("edfbd1ce")
    assert SMOKE.fingerprint.startswith("fe96ebd4")
    assert FRANKLE.fingerprint.startswith("1e7aaa7e")


def test_a_field_that_came_later_is_left_out_while_it_means_what_its_absence_meant():
    """And a stored protocol without it is read back as the same one."""
    assert not {"initialisation", "biases", "held_out"} & PAPER.settings().keys()
    assert FRANKLE.settings()["held_out"] == 5_000
    for p in (PAPER, FRANKLE):
        assert from_settings(p.settings(), p.name).fingerprint == p.fingerprint


def test_frankle_is_the_protocol_of_iterative_pruning():
    """Frankle and Carbin (2019), section 2 and appendix G, setting by setting; and its small version."""
    p = FRANKLE
    assert (p.dataset, p.hidden, p.lr, p.batch_size, p.pixels) == ("mnist", (300, 100), 0.0012, 60, "raw")
    assert (p.initialisation, p.biases, p.mask, p.held_out) == ("glorot_normal", "zero", "weights", 5_000)
    assert (p.initial_iterations, p.iterations, p.record_every, p.order) == (50_000, 50_000, 100, "shuffled")
    assert p.seeds == (0, 1, 2, 3, 4)
    small = in_small("frankle")
    assert (small.initialisation, small.biases, small.mask) == ("glorot_normal", "zero", "weights")
    assert in_small("paper") == in_small("smoke") == SMOKE
    with pytest.raises(UsageError, match="no small version of 'mine'"):
        in_small("mine")


def test_a_changed_protocol_says_what_was_changed():
    assert PAPER.changed(lr=0.01, order="shuffled", seeds=(3,)).name == "paper lr=0.01 order=shuffled"
    assert PAPER.changed(lr=0.0012).name == "paper"
    assert PAPER.changed(hidden=(300, 100)).name == "paper hidden=300,100"


def test_auto_leaves_no_trace_but_where_it_took_other_data():
    """The paper's protocol on MNIST is the paper's, however MNIST was asked for."""
    chosen = PAPER.changed(dataset="auto")
    assert settled(chosen, "mnist") == PAPER
    assert settled(chosen, "digits").name == "paper dataset=digits"
    assert settled(PAPER.changed(dataset="digits"), "digits").name == "paper dataset=digits"


def test_the_small_chain_takes_all_images_of_another_data_set(tmp_path):
    """Digits has fewer than the 6,000 training images of MNIST that `smoke` takes; a file may be sorted by class."""
    assert SMOKE.changed(dataset="auto").train_size == SMOKE.train_size == 6_000
    assert settled(SMOKE.changed(dataset="auto"), "mnist") == SMOKE
    for found in (SMOKE.changed(dataset="digits"), settled(SMOKE.changed(dataset="auto"), "digits")):
        assert (found.name, found.train_size) == ("smoke dataset=digits", None)
    assert SMOKE.changed(dataset="digits", train_size=100).train_size == 100
    path = tmp_path / "p.toml"
    for text, size in (("", None), ("train_size = 50", 50)):
        path.write_text(f'base = "smoke"\ndataset = "digits"\n{text}\n')
        assert load(path).train_size == size


@pytest.mark.parametrize("protocol", [PAPER, SMOKE, PAPER.changed(hidden=(7,), lr=1e-5, dataset="digits")])
def test_a_protocol_survives_file_and_store(protocol, tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(to_toml(protocol))
    assert load(path) == protocol
    stored = json.loads(json.dumps(protocol.settings()))
    assert from_settings(stored, protocol.name, protocol.seeds) == protocol


def test_a_short_file_leaves_the_rest_as_in_the_paper(tmp_path):
    path = tmp_path / "wide.toml"
    path.write_text('hidden = "400,60"\nlr = 1\nseeds = "0-2,7"\n')
    found = load(path)
    assert found == dataclasses.replace(
        PAPER, name="wide", hidden=(400, 60), lr=1.0, seeds=(0, 1, 2, 7), hyperops=scaled_hyperops((400, 60))
    )


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(
    ("change", "changed"), [("lr = 0.5", True), ("validation_size = 7", True), ("seeds = '0-3'", False)]
)
def test_a_changed_protocol_never_has_a_presets_name(name, change, changed, tmp_path):
    """Whatever its file is called and says; one that is the preset's may."""
    for stem in ("mine", name, "paper"):
        path = tmp_path / f"{stem}.toml"
        path.write_text(f'base = "{name}"\nname = "{name}"\n{change}\n')
        found = load(path).name
        assert (found not in PRESETS) == changed
        assert found in {stem, f"{stem}.toml"} if changed else found == name


@given(st.sets(st.integers(0, 300), min_size=1))
def test_seeds_survive_being_written(seeds):
    assert parse_seeds(format_seeds(tuple(seeds))) == tuple(sorted(seeds))


@given(st.text(max_size=20))
@example("0\x1f")
def test_any_text_for_seeds_or_sizes_is_read_or_refused(text):
    for parse in (parse_seeds, parse_sizes):
        try:
            assert all(isinstance(n, int) for n in parse(text))
        except UsageError as error:
            assert error.exit_code == 2


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(), st.text(max_size=8),
    st.lists(st.integers(-5, 5), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(Protocol)]), VALUES, max_size=3))
def test_any_settings_are_taken_or_refused_with_a_sentence(settings):
    settings = {k: v for k, v in settings.items() if k not in {"name", "seeds"}}
    try:
        found = from_settings(settings, "any")
    except UsageError as error:
        assert error.message.endswith(".")
    else:
        assert len(found.thresholds) >= 1


def test_of_an_endless_value_the_beginning_is_quoted(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f"train_size = [{'1234567890' * 100}]\n")
    with pytest.raises(UsageError, match=r"train_size must be .*, not \[1234567890.*…\.$") as caught:
        load(path)
    assert len(caught.value.message) < 200 + len(str(path))
