"""Any nonsense in any argument: an error of ours, or numbers that plain torch confirms."""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import pathlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import ltsm
from ltsm.errors import LtsmError
from ltsm.library.tickets import Recipe, Ticket, TrainingRecord

pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
MANY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)


class Raising:
    """Whatever is asked of it fails."""

    def __len__(self):
        raise RuntimeError("no length")

    def __iter__(self):
        raise RuntimeError("no items")

    def __float__(self):
        raise ValueError("no number")


def network(outputs=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, outputs))


BEFORE = network()
AFTER = {n: t + 0.2 * torch.randn(t.shape) for n, t in copy.deepcopy(BEFORE.state_dict()).items()}
IMAGES = torch.randn(24, 6, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(24) % 3
FOUND = ltsm.find_supermask(BEFORE, AFTER, (IMAGES, LABELS))
TICKET = ltsm.ticket_of(FOUND)

SHAPES = st.sampled_from(
    [(), (0,), (1,), (3,), (5,), (24,), (24, 1), (24, 6), (5, 6), (3, 5), (24, 2, 3), (2, 0)]
)
TYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8,
         torch.bool, torch.complex64, torch.float8_e5m2]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 3, 0.07, 1e300, float("nan"), float("inf"), -float("inf"), 10**400, 2**63, True, 2.5,
           np.int64(3), np.float32(0.1), np.float64("nan"), decimal.Decimal(1), 1j]  # fmt: skip
THINGS = [None, "", "weights", "relu", "x", "~/x", b"x", object(), Raising(), Raising, int, nn.Linear, nn.Module,
          len, print, lambda *_: None, lambda a, *_: a, ..., NotImplemented, dt.date.min, pathlib.Path("x"),
          nn.Linear(6, 3), nn.Identity(), nn.Conv2d(1, 1, 1), network(1), network(4), nn.Module(), FOUND, TICKET,
          functional.cross_entropy, nn.MSELoss(), torch.optim.SGD, torch.device("cpu"), torch.float32, slice(3),
          np.array("x"), np.array([{}], object), np.array(["a", "b"]), np.datetime64("2020-01-01"), range(3)]  # fmt: skip


def in_inference(made):
    with torch.inference_mode():
        return torch.zeros(made.shape)


FORMS = [
    lambda made: made,
    lambda made: made.real.float().numpy()[..., ::-1] if made.ndim else made.real.float().numpy(),
    lambda made: made.to("meta"),
    lambda made: made.real.float().to_sparse(),
    lambda made: made.real.float().requires_grad_(),
    lambda made: made.real.float().tolist(),
    lambda made: torch.randn(made.shape),
    lambda _: torch.zeros(1).expand(24, 6),
    in_inference,
]


@st.composite
def tensors(draw):
    """Of any shape and type, with odd values, or odd places in memory."""
    value = draw(st.sampled_from([0, 1, 3, 0.25, float("nan"), float("inf")]))
    made = torch.full(draw(SHAPES), value).to(draw(st.sampled_from(TYPES)))
    return draw(st.sampled_from(FORMS))(made)


SINGLE = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(THINGS), tensors(), st.text(max_size=3))
NAMES = st.sampled_from(
    ["0.weight", "0.bias", "2.weight", "2.bias", "x", "", "module.0.weight", 3, None, ("a",)]
)
ANYTHING = st.one_of(
    SINGLE,
    st.lists(SINGLE, max_size=3),
    st.tuples(SINGLE, SINGLE),
    st.dictionaries(NAMES, SINGLE, max_size=4),
    st.dictionaries(NAMES, SINGLE, max_size=2).map(lambda d: {**BEFORE.state_dict(), **d}),
    st.tuples(st.just(IMAGES), SINGLE),
    st.tuples(SINGLE, st.just(LABELS)),
    SINGLE.map(lambda one: iter([one, one])),
    SINGLE.map(lambda one: [(IMAGES, LABELS), one]),
)


def odd(*names):
    """One or several of these arguments as nonsense."""
    return st.dictionaries(st.sampled_from(names), ANYTHING, min_size=1, max_size=2)


def unchanged():
    """A check that what is good has stayed as it was."""
    things = [*BEFORE.state_dict().values(), *AFTER.values(), IMAGES, LABELS]
    before = [t.clone() for t in things]
    return lambda: all(map(torch.equal, things, before))


def by_torch(model, state, images, labels):
    with torch.no_grad():
        logits = torch.func.functional_call(model, dict(state), (torch.as_tensor(images).float(),))
    y = torch.as_tensor(labels).reshape(len(logits))
    if logits.numel() == len(logits):
        right = (logits.reshape(-1) > 0) == (y > 0)
        return right.double().mean().item()
    return (logits.argmax(1) == y).double().mean().item()


@MANY
@given(
    odd(
        "initial",
        "trained",
        "validation",
        "model",
        "thresholds",
        "select",
        "mask",
        "only",
        "loss",
        "activation",
    )
)
def test_find_supermask(wrong):
    """What comes back is what plain torch makes of its state."""
    same = unchanged()
    arguments = {"initial": BEFORE.state_dict(), "trained": AFTER, "validation": (IMAGES, LABELS), **wrong}
    validation = arguments["validation"]
    try:
        found = ltsm.find_supermask(**arguments)
    except LtsmError as error:
        assert error.message
        assert same()
        return
    assert same()
    model = found.model if found.model is not None else copy.deepcopy(BEFORE)
    if isinstance(validation, tuple) and arguments.get("activation", "relu") == "relu":
        assert by_torch(model, found.state, *validation) == pytest.approx(
            found.selected.val_accuracy, abs=1e-9
        )
    assert all(not found.state[n][~flags].any() for n, flags in found.mask.items())
    assert all(np.isfinite(r.threshold) for r in found.results)


@MANY
@given(odd("supermask", "training", "validation", "model", "optimiser", "loss", "iterations", "batch_size", "lr", "order", "seed", "record_every"))  # fmt: skip
def test_train_ticket(wrong):
    """What is pruned is 0, and what is recorded is what plain torch makes of the trained state."""
    same = unchanged()
    arguments = {"supermask": FOUND, "training": (IMAGES, LABELS), "validation": (IMAGES, LABELS), "iterations": 3, "batch_size": 8}  # fmt: skip
    arguments |= wrong
    if isinstance(arguments["iterations"], int) and arguments["iterations"] > 10**6:
        return  # it would be right, and last for ever
    try:
        ticket = ltsm.train_ticket(**arguments)
    except LtsmError as error:
        assert error.message
        assert same()
        return
    assert same()
    assert all(not ticket.trained[n][~flags].any() for n, flags in FOUND.mask.items())
    finite = all(t.isfinite().all() for t in ticket.trained.values())
    if isinstance(arguments["validation"], tuple) and finite:
        model = arguments.get("model") or copy.deepcopy(BEFORE)
        accuracy = by_torch(model, ticket.trained, *arguments["validation"])
        assert ticket.records[-1].val_accuracy == pytest.approx(accuracy, abs=1e-9)


@MANY
@given(odd("model", "training", "validation", "initial", "method", "keep", "kept", "rescale", "mask", "only", "activation", "optimiser", "loss", "iterations", "batch_size", "lr", "order", "seed", "record_every", "watch"))  # fmt: skip
def test_learn_supermask(wrong):
    """No weight is other than it was or 0, and what is recorded is what plain torch makes of the state."""
    same = unchanged()
    arguments = {"model": BEFORE, "training": (IMAGES, LABELS), "validation": (IMAGES, LABELS), "iterations": 3, "batch_size": 8}  # fmt: skip
    arguments |= wrong
    if isinstance(arguments["iterations"], int) and arguments["iterations"] > 10**6:
        return  # it would be right, and last for ever
    try:
        found = ltsm.learn_supermask(**arguments)
    except LtsmError as error:
        assert error.message
        assert same()
        return
    assert same()
    if "kept" not in wrong and not wrong.get("rescale"):
        start = found.initial
        assert all(torch.equal(found.state[n], torch.where(m, start[n], 0.0)) for n, m in found.mask.items())
    if isinstance(arguments["validation"], tuple) and found.model is not None:
        accuracy = by_torch(found.model, found.state, *arguments["validation"])
        assert found.selected.val_accuracy == pytest.approx(accuracy, abs=1e-9)


@MANY
@given(odd("module", "mask", "optimiser"))
def test_frozen_zeros(wrong):
    """Inside, what the mask prunes is 0, and nothing else has changed."""
    model = copy.deepcopy(BEFORE)
    arguments = {
        "module": model,
        "mask": FOUND.mask,
        "optimiser": torch.optim.SGD(model.parameters(), 0.1),
        **wrong,
    }
    try:
        with ltsm.frozen_zeros(**arguments):
            pass
    except LtsmError as error:
        assert error.message
        assert all(torch.equal(t, BEFORE.state_dict()[n]) for n, t in model.state_dict().items())
        return
    flags = {n: torch.as_tensor(np.asarray(m)).bool() for n, m in arguments["mask"].items()}
    for name, values in model.state_dict().items():
        assert torch.equal(
            values, torch.where(flags.get(name, torch.tensor(True)), BEFORE.state_dict()[name], 0.0)
        )


@MANY
@given(odd("module", "mask"))
def test_apply_mask(wrong):
    """A weight is itself or 0, never a multiple; where it is refused nothing has changed."""
    model = copy.deepcopy(BEFORE)
    arguments = {"module": model, "mask": FOUND.mask, **wrong}
    try:
        ltsm.apply_mask(**arguments)
    except LtsmError as error:
        assert error.message
        assert model.state_dict().keys() == BEFORE.state_dict().keys()
        return
    for name, flags in ltsm.read_mask(model).items():
        given_flags = torch.as_tensor(np.asarray(arguments["mask"][name])).bool()
        assert torch.equal(flags, given_flags)
    for name, values in ltsm.make_permanent(model).state_dict().items():
        assert ((values == BEFORE.state_dict()[name]) | (values == 0)).all()


PARTS = {
    "mask": TICKET.mask, "initial": TICKET.initial, "trained": TICKET.initial, "chain": TICKET.chain,
    "records": (TrainingRecord(0, 1.0, 1.0, 0.5),), "recipe": Recipe(0, ("initial",)), "shared": {}, "about": {},
}  # fmt: skip


@MANY
@given(odd("ticket", "path", *PARTS))
def test_save_ticket(tmp_path, wrong):
    """What is written comes back the same."""
    path = wrong.get("path", tmp_path / "a.ticket")
    if isinstance(path, str | bytes | pathlib.Path) and "path" in wrong:
        return  # it would be a file of that name
    try:
        made = Ticket(**{**PARTS, **{n: v for n, v in wrong.items() if n in PARTS}})
        ticket = wrong.get("ticket", made)
        ltsm.save_ticket(ticket, path)
    except LtsmError as error:
        assert error.message
        return
    again = ltsm.load_ticket(path)
    for state, expected in ((again.initial, ticket.initial), (again.trained or {}, ticket.trained or {})):
        for name, values in state.items():
            kept = again.mask.get(name, torch.tensor(True))
            wanted = torch.as_tensor(np.asarray(expected[name].detach() if isinstance(expected[name], torch.Tensor) else expected[name]))  # fmt: skip
            assert torch.equal(values[kept.expand_as(values)], wanted[kept.expand_as(wanted)])


@MANY
@given(st.sampled_from([ltsm.read_mask, ltsm.make_permanent, ltsm.count_parameters, ltsm.onnx_bytes, ltsm.load_ticket, ltsm.ticket_of]), ANYTHING)  # fmt: skip
def test_functions_of_one_argument(function, wrong):
    if isinstance(wrong, str | bytes | pathlib.Path):
        return
    try:
        function(wrong)
    except LtsmError as error:
        assert error.message


@MANY
@given(ANYTHING, ANYTHING)
def test_load_exactly_and_mask_at(module, state):
    for call in (lambda: ltsm.load_exactly(module, state), lambda: ltsm.load_exactly(copy.deepcopy(BEFORE), state), lambda: FOUND.mask_at(state)):  # fmt: skip
        try:
            call()
        except LtsmError as error:
            assert error.message


WORDS = st.one_of(
    st.sampled_from(["", "~", ".", "/", "a.pt", "b.pt", "nested.pt", "text.pt", "good.npz", "none.npz", "mnist", "digits",
                     "0:1:0.1", "0:0.2", "nan:1:1", "1e400", "-1", "0", "3", "relu", "tanh", "all", "weights", "raw", "x",
                     "net:make", "net:fails", "net:other", "net:", ":", "state", "net.inner", "\x00", "é", "--", "file"]),
    st.text(max_size=4),
)  # fmt: skip
OPTIONS = ["--initial", "--trained", "--data", "--network", "--data-dir", "--activation", "--mask", "--pixels", "--key",
           "--thresholds", "--select", "--lr", "--batch-size", "--order", "--seed"]  # fmt: skip
MODULE = """
from torch import nn
def make(): return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
def fails(): raise KeyError("x")
def other(): return nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    folder = tmp_path_factory.mktemp("room")
    torch.save(BEFORE.state_dict(), folder / "a.pt")
    torch.save(AFTER, folder / "b.pt")
    torch.save({"net": {"inner": AFTER}, "step": 3, "optimiser": {"x": torch.zeros(2)}}, folder / "nested.pt")
    (folder / "text.pt").write_text("no weights")
    (folder / "net.py").write_text(MODULE)
    x, y = IMAGES.numpy(), LABELS.numpy()
    np.savez(folder / "good.npz", x_train=x, y_train=y, x_val=x, y_val=y)
    return folder


@MANY
@given(st.dictionaries(st.sampled_from(OPTIONS), WORDS, max_size=3), st.booleans())
def test_prune(room, monkeypatch, wrong, train):
    """On the command line, too: an error of ours, or one of usage."""
    from typer.testing import CliRunner

    from ltsm.cli.commands import app

    monkeypatch.chdir(room)
    words = {"--initial": "a.pt", "--trained": "b.pt", "--data": "good.npz", "--data-dir": "none", **wrong}
    words |= {"--iterations": "2"}
    if {"mnist"} & {words["--data"]}:
        return  # it would be downloaded
    line = [f"{option}={word}" for option, word in words.items()]
    found = CliRunner().invoke(app, ["prune", *line, *(["--train"] if train else [])])
    if found.exception is not None:
        assert isinstance(found.exception, LtsmError | SystemExit), found.exception
        assert "Traceback" not in found.output
