"""Ticket files: the exact network comes back, or a sentence says why not."""

from __future__ import annotations

import json
from dataclasses import replace
from math import nan

import onnxruntime
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

import ltsm
from ltsm.core.network import Network, initial_values
from ltsm.core.state import metadata
from ltsm.core.streams import uniform
from ltsm.errors import StoreError, UsageError
from ltsm.library import ticket_file
from ltsm.library.chains import Chain
from ltsm.library.files import read_weights, state_bytes
from ltsm.library.ticket_evaluation import evaluate_ticket
from ltsm.library.ticket_file import ticket_bytes, ticket_from_bytes
from ltsm.library.tickets import Recipe, Ticket, TrainingRecord, checked_ticket, trained_ticket
from ltsm.store import artifacts


def chain_of(network):
    return Chain(network, tuple(str(layer.index) for layer in network.layers))


SMALL = Network((6, 5, 3))


def seeded(network=SMALL, seed=3, share=0.4, **drawn):
    """A ticket as a sweep makes it: initial values from a seed, and a mask."""
    chain = chain_of(network)
    values = initial_values(network, seed, "initial", **drawn)
    kept = torch.from_numpy(uniform(seed, "kept", count=network.parameters)) < share
    mask = {n: t.clone() for n, t in chain.views(kept).items()}
    initial = {n: t.clone() for n, t in chain.views(torch.where(kept, values, 0.0)).items()}
    recipe = Recipe(seed, ("initial",), **drawn)
    return Ticket(mask=mask, initial=initial, chain=chain, recipe=recipe, about={"seed": seed})


@pytest.fixture
def own(trained, images):
    _, initial, model = trained
    return ltsm.train_ticket(ltsm.find_supermask(initial, model, images), images, images, iterations=10)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) and a[n].dtype == b[n].dtype for n in a)


class TestRoundTrip:
    def test_a_ticket_of_ones_own(self, own, tmp_path):
        """Mask, initial and trained values, records and origin, bit for bit."""
        ltsm.save_ticket(own, tmp_path / "own.ticket")
        back = ltsm.load_ticket(tmp_path / "own.ticket")
        assert same(back.mask, own.mask)
        assert same(back.initial, own.initial)
        assert same(back.trained, own.trained)
        assert repr(back.records) == repr(own.records)
        assert (back.about, back.chain, back.recipe) == (own.about, own.chain, None)

    def test_it_says_what_it_is(self, own):
        about = {name: value for name, value in own.about.items() if isinstance(value, float)}
        assert {"val_accuracy", "trained_val_loss"} <= about.keys()
        said = ", ".join(f"{name} = {value:g}" for name, value in about.items())
        sizes = f"{own.kept:,} of {own.covered:,}"
        assert repr(own) == f"Ticket(keeps {sizes} parameters, trained, {len(own.records)} records\n  {said})"

    def test_values_that_no_seed_gives_are_in_the_file(self):
        """Taken out: the question whether what is kept can be drawn again; no initial value came back."""
        ticket = seeded()
        ticket = replace(ticket, recipe=replace(ticket.recipe, kept="trained"))
        back = ticket_from_bytes(ticket_bytes(ticket))
        assert same(back.initial, ticket.initial)

    @pytest.mark.parametrize(
        "drawn", [{}, {"weights": "glorot_normal", "biases": "zero"}], ids=["", "normal"]
    )
    def test_a_seeded_ticket_holds_no_values(self, drawn):
        """They come back from the seed, however they are drawn."""
        ticket = seeded(**drawn)
        back = ticket_from_bytes(ticket_bytes(ticket))
        assert load(ticket_bytes(ticket)).keys() == {"mask"}
        assert same(back.initial, ticket.initial)
        assert back.recipe == ticket.recipe
        assert ticket_bytes(back) == ticket_bytes(ticket)

    def test_a_file_says_what_it_always_said(self):
        """Its bytes are hashed and compared elsewhere: what is new in the format is left out where it says nothing."""
        description = json.loads(metadata(ticket_bytes(seeded()))["ltsm_ticket"])
        assert description == {
            "format": 1,
            "entries": [
                ["0.weight", [5, 6], "float32", True],
                ["0.bias", [5], "float32", True],
                ["2.weight", [3, 5], "float32", True],
                ["2.bias", [3], "float32", True],
            ],
            "network": {"sizes": [6, 5, 3], "activation": "relu", "layers": ["0", "2"]},
            "recipe": {"seed": 3, "purpose": ["initial"]},
            "trained": False,
            "records": [],
            "about": {"seed": 3},
            "sha256": "0f4cd558fee391f870d579bc2896d159389fb7924081cd4b104f7b4e42f06c38",
        }

    def test_one_record_says_what_training_achieved(self):
        """Of no iterations there is one; without validation data there is nothing to say."""
        ticket, about = seeded(), {"trained_val_accuracy": 0.75, "trained_val_loss": 0.5}
        for record, more in (
            (TrainingRecord(0, nan, 0.5, 0.75), about),
            (TrainingRecord(0, nan, nan, nan), {}),
        ):
            assert trained_ticket(ticket, ticket.initial, [record]).about == {"seed": 3} | more

    @pytest.mark.parametrize("covers", ["all", "weights"])
    def test_a_seeded_ticket_of_rescaled_constants_holds_no_values(self, covers):
        """Signs times the deviation of their layer's weights, where the mask may prune, and weights times a factor."""
        ticket, chain, factors = seeded(), chain_of(SMALL), (2.0, 0.5)
        values = initial_values(SMALL, 3, "initial")
        for layer, factor in zip(SMALL.layers, factors, strict=True):
            deviation = values[layer.weight].double().std(correction=0).float()
            values[layer.weight] = values[layer.weight].sign() * deviation * factor
            if covers == "all":
                values[layer.bias] = values[layer.bias].sign() * deviation
        mask = {n: kept for n, kept in ticket.mask.items() if covers == "all" or n.endswith("weight")}
        initial = {
            n: t.where(mask[n], 0.0) if n in mask else t.clone() for n, t in chain.views(values).items()
        }
        recipe = Recipe(3, ("initial",), kept="signed_constant", covers=covers, factors=factors)
        ticket = replace(ticket, mask=mask, initial=initial, recipe=recipe)
        content = ticket_bytes(ticket)
        assert not any(name.startswith("initial") for name in load(content))
        back = ticket_from_bytes(content)
        assert same(back.initial, initial)
        assert back.recipe == recipe

    def test_the_papers_network_takes_about_20_kb(self):
        """163,340 bits are 20,418 bytes."""
        assert 20_418 < len(ticket_bytes(seeded(Network((784, 200, 30, 10))))) < 22_000

    def test_values_that_the_seed_does_not_give_are_kept_in_the_file(self):
        """Another version's random numbers, or a changed file."""
        ticket = seeded()
        name = next(n for n, flags in ticket.mask.items() if flags.any())
        initial = {n: t.clone() for n, t in ticket.initial.items()}
        initial[name][ticket.mask[name]] += 1
        changed = replace(ticket, initial=initial)
        back = ticket_from_bytes(ticket_bytes(changed))
        assert back.recipe is None
        assert same(back.initial, initial)

    def test_state_dicts(self, own, trained, images, tmp_path):
        """As safetensors and as a PyTorch file: the same logits."""
        model = trained[0]
        ltsm.load_exactly(model, own.trained)
        expected = model.eval()(images[0])
        torch.save(own.trained, tmp_path / "t.pt")
        (tmp_path / "t.safetensors").write_bytes(state_bytes(own.trained))
        for name in ("t.pt", "t.safetensors"):
            other = type(model)() if not isinstance(model, nn.Sequential) else model
            ltsm.load_exactly(other, read_weights(tmp_path / name))
            assert torch.equal(other.eval()(images[0]), expected)

    def test_the_file_evaluates_to_the_last_image(self, own, trained, images, tmp_path):
        """Untrained and trained."""
        ltsm.save_ticket(own, tmp_path / "own.ticket")
        back = ltsm.load_ticket(tmp_path / "own.ticket")
        untrained, after = evaluate_ticket(back, images, trained[0])
        assert untrained.val_accuracy == own.about["val_accuracy"]
        assert untrained.val_loss == pytest.approx(own.about["val_loss"])
        assert after.val_accuracy == own.records[-1].val_accuracy
        if own.chain is None:
            with pytest.raises(UsageError, match="of one's own"):
                evaluate_ticket(back, images)
        else:
            assert evaluate_ticket(back, images)[1].val_accuracy == after.val_accuracy


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_onnx_gives_the_same_logits(activation):
    """Run with onnxruntime, for batches of any size."""
    ticket = seeded(Network((6, 7, 5, 3), activation), share=0.8)
    session = onnxruntime.InferenceSession(ltsm.onnx_bytes(ticket), providers=["CPUExecutionProvider"])
    assert [session.get_inputs()[0].shape, session.get_outputs()[0].shape] == [["batch", 6], ["batch", 3]]
    kinds = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
    model = nn.Sequential(
        nn.Linear(6, 7), kinds[activation](), nn.Linear(7, 5), kinds[activation](), nn.Linear(5, 3)
    )
    model.load_state_dict(ticket.initial)
    for count in (1, 9):
        images = torch.from_numpy(uniform(count, "images", count=6 * count)).view(count, 6)
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        assert torch.allclose(torch.from_numpy(logits), model(images), atol=1e-6)


def test_onnx_of_another_network_is_refused(own):
    """A forward pass of one's own cannot be looked into."""
    if own.chain is None:
        with pytest.raises(UsageError, match="can be written as ONNX"):
            ltsm.onnx_bytes(own)
    else:
        assert ltsm.onnx_bytes(own)


def test_without_the_package_onnx_a_sentence_says_so(monkeypatch):
    """It is an optional one."""
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UsageError, match="onnx is not installed") as caught:
        ltsm.onnx_bytes(seeded())
    assert caught.value.hint == "pip install 'onnx>=1.16'", "also where ltsm is a checkout"


class TestRefusals:
    def test_any_flipped_bit(self):
        """In the header, the description, the mask."""
        content = ticket_bytes(seeded())
        for place in range(len(content)):
            for bit in (0, 5, 7):
                flipped = bytearray(content)
                flipped[place] ^= 1 << bit
                with pytest.raises(StoreError):
                    ticket_from_bytes(bytes(flipped))

    def test_any_part_of_a_file(self):
        """An interrupted copy."""
        content = ticket_bytes(seeded())
        for length in range(0, len(content), 7):
            with pytest.raises(StoreError):
                ticket_from_bytes(content[:length])

    def test_another_version(self, monkeypatch):
        """Said in a sentence that names it."""
        monkeypatch.setattr(ticket_file, "FORMAT", 2)
        newer = ticket_bytes(seeded())
        monkeypatch.undo()
        with pytest.raises(StoreError, match="version 2, not 1"):
            ticket_from_bytes(newer)

    @pytest.mark.parametrize(
        "content",
        [b"", b"\0" * 100, b"\xff" * 100, save({"mask": torch.zeros(3)}), save({}, {"ltsm_ticket": "[]"}),
         save({}, {"ltsm_ticket": json.dumps({"format": 1})})],
    )  # fmt: skip
    def test_something_else(self, content):
        with pytest.raises(StoreError, match=r"no ticket file|damaged"):
            ticket_from_bytes(content)

    def test_another_network(self, own):
        """Names and shapes have to be the module's."""
        for model in (nn.Linear(6, 3), nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3))):
            before = {n: t.clone() for n, t in model.state_dict().items()}
            with pytest.raises(UsageError, match="a ticket of another network"):
                ltsm.load_exactly(model, own.state)
            assert same(model.state_dict(), before)

    @pytest.mark.parametrize(
        ("part", "words"),
        [
            ({"chain": "0"}, "chain must be a chain of layers, or None, not str"),
            ({"recipe": {"seed": 3}}, "recipe must be a Recipe, or None, not dict"),
            ({"records": [(0, nan, 0.5, 0.75)]}, "records must be a tuple of TrainingRecord, not list"),
            ({"records": ((0, nan, 0.5, 0.75),)}, "each of records must be a TrainingRecord, not tuple"),
            ({"about": "mine"}, "about must be a dictionary, not str"),
            ({"shared": ()}, "shared must be a dictionary, not tuple"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_a_part_that_is_something_else(self, part, words):
        """Of a ticket that was made by hand."""
        with pytest.raises(UsageError, match=f"^{words}"):
            ticket_bytes(checked_ticket(replace(seeded(), **part)))

    def test_what_is_no_ticket_or_no_module(self, images, tmp_path):
        with pytest.raises(
            UsageError, match=r"^ticket must be a ticket, as train_ticket or ticket_of gives it"
        ):
            ltsm.save_ticket(seeded().mask, tmp_path / "t.ticket")
        with pytest.raises(UsageError, match=r"^model must be a torch\.nn\.Module, not str"):
            evaluate_ticket(seeded(), images, "model")
        with pytest.raises(UsageError, match=r"^module must be a torch\.nn\.Module, not str"):
            ltsm.load_exactly("model", seeded().state)

    def test_layers_more_and_less(self):
        """The first name that only one of them has is named."""
        layers = [nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 3)]
        for count, words in ((1, "it has '2.bias'"), (5, "it lacks '4.bias'")):
            with pytest.raises(UsageError, match=words):
                ltsm.load_exactly(nn.Sequential(*layers[:count]), seeded().state)

    def test_a_description_whose_parts_do_not_fit(self):
        """A right digest is no proof of sense."""
        ticket = seeded()
        wrong = replace(ticket, chain=chain_of(Network((6, 4, 3))), recipe=None)
        with pytest.raises(StoreError, match="no ticket file"):
            ticket_from_bytes(ticket_bytes(wrong))

    def test_a_file_that_is_not_there_or_cannot_be_written(self, tmp_path):
        with pytest.raises(StoreError, match="cannot read"):
            ltsm.load_ticket(tmp_path / "none.ticket")
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(StoreError, match="cannot write"):
            ltsm.save_ticket(seeded(), tmp_path / "file" / "t.ticket")


def test_a_ticket_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "mine.ticket").mkdir()  # a folder in its place: renaming fails after writing
    (tmp_path / "mine.ticket" / "full").touch()
    with pytest.raises(StoreError, match="cannot write"):
        artifacts.save(tmp_path / "mine.ticket", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.ticket"]
