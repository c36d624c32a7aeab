"""Whatever a training loop does under prune_iteratively: zeros stay zeros, and the network is always well defined."""

from __future__ import annotations

import copy
import io
import logging

import pytest
import torch
from odd_networks import HIDING, UNCOMPUTABLE, WRAPPERS
from torch import nn
from torch.optim import optimizer as torch_optimizer

import ltsm
from ltsm.errors import UsageError
from ltsm.library.frozen import frozen_zeros
from ltsm.library.ticket_file import ticket_bytes

OPTIMISERS = {
    "sgd, nesterov, decay": lambda p: torch.optim.SGD(
        p, 0.05, momentum=0.9, nesterov=True, weight_decay=0.01
    ),
    "adam, decay": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1),
    "adamw, amsgrad": lambda p: torch.optim.AdamW(p, 0.01, amsgrad=True),
    "rmsprop, centred": lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.9, centered=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.05),
    "rprop": lambda p: torch.optim.Rprop(p, 0.01),
    "lbfgs": lambda p: torch.optim.LBFGS(p, 0.1, max_iter=4, line_search_fn="strong_wolfe"),
}


class Noisy(torch.optim.Optimizer):
    """Moves whatever it is over, also where there is no gradient, as Langevin dynamics do."""

    def __init__(self, params):
        super().__init__(params, {})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.add_(0.01 * torch.randn_like(parameter))


OPTIMISERS["noise"] = Noisy


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def learn(model, images, optimiser, steps=6):
    def closure():
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(model(images[0]), images[1])
        loss.backward()
        return loss

    for _ in range(steps):
        if not isinstance(optimiser, torch.optim.LBFGS):
            closure()
        optimiser.step(closure if isinstance(optimiser, torch.optim.LBFGS) else None)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_what_is_pruned_is_zero_at_every_forward_pass_and_after_every_step(name, images):
    """And +0, when a round is over; its gradient is 0 too."""
    model, pruned = network(), []

    def train(network):
        optimiser = OPTIMISERS[name](network.parameters())
        pruned.append({n: p == 0 for n, p in network.named_parameters() if n.endswith("weight")})
        network.register_forward_hook(lambda *_: look())
        for _ in range(6):
            learn(network, images, optimiser, 1)
            look()
            assert all(
                not p.grad[pruned[-1][n]].any() for n, p in network.named_parameters() if n in pruned[-1]
            )

    def look():
        own = dict(model.named_parameters())
        assert all(not own[n][flags].any() for n, flags in pruned[-1].items())

    for found in ltsm.prune_iteratively(model, train, rounds=3, rate=0.4):
        for n, kept in found.mask.items():
            values = model.state_dict()[n]
            assert torch.equal(pruned[-1][n], ~kept)
            assert not values[~kept].any()
            assert not torch.signbit(values[~kept]).any()
    assert found.kept == {"0.weight": 10, "2.weight": 5}


def in_place(parameter):
    with torch.no_grad():
        parameter.fill_(0.3)


def behind_autograd(parameter):
    parameter.data.add_(0.3)


def replaced_data(parameter):
    parameter.data = torch.full_like(parameter, 0.3)


@pytest.mark.parametrize("write", [in_place, behind_autograd, replaced_data])
def test_whoever_writes_to_the_weights_between_two_steps(write, images):
    """The next forward pass sees zeros again."""
    model, seen = network(), []

    def train(network):
        hook = network[0].register_forward_hook(lambda layer, *_: seen.append(layer.weight.detach().clone()))
        optimiser = torch.optim.SGD(network.parameters(), 0.1)
        learn(network, images, optimiser, 2)
        write(network[0].weight)
        learn(network, images, optimiser, 1)
        write(network[0].weight)
        hook.remove()

    for found in ltsm.prune_iteratively(model, train, rounds=2, rate=0.5):
        assert len(seen) == 3 * (found.number + 1)
        assert all(not weight[~found.mask["0.weight"]].any() for weight in seen[-3:])
        assert not model[0].weight[~found.mask["0.weight"]].any()


def replaced(layer):
    layer.weight = nn.Parameter(torch.full_like(layer.weight, 0.3))


def unfrozen(layer):
    layer.weight.requires_grad_()


@pytest.mark.parametrize("change", [replaced, unfrozen])
def test_a_parameter_that_is_new_to_training_is_followed_from_the_next_forward_pass_on(change, images):
    """Its zeros are zero there, and have no gradient."""
    model, kept = network(), torch.arange(48).reshape(8, 6) % 3 > 0
    model[0].weight.requires_grad_(False)
    with frozen_zeros(model, {"0.weight": kept}):
        change(model[0])
        model(images[0]).square().sum().backward()
        assert not model[0].weight[~kept].any()
        assert not model[0].weight.grad[~kept].any()
        assert model[0].weight.grad.any()


def test_values_that_stand_in_for_the_parameters_are_left_alone(images):
    """A functional call computes with what it was given."""
    model = network()
    with frozen_zeros(model, {"0.weight": torch.zeros(8, 6)}):
        others = {name: p.detach() + 0.3 for name, p in model.named_parameters()}
        torch.func.functional_call(model, others, (images[0],))
        torch.vmap(lambda one: torch.func.functional_call(model, one, (images[0],)))(
            {name: torch.stack([t, t]) for name, t in others.items()}
        )
    assert (others["0.weight"] == 0.3).all()


def test_a_norm_of_gradients_is_of_the_survivors_alone(images):
    model, norms = network(), []

    def train(network):
        optimiser = torch.optim.SGD(network.parameters(), 0.1)
        for _ in range(3):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(images[0]), images[1]).backward()
            norms.append(nn.utils.clip_grad_norm_(network.parameters(), 0.5).item())
            kept = [p.grad[p != 0] for p in network.parameters()]
            assert min(norms[-1], 0.5) == pytest.approx(torch.cat(kept).norm().item(), rel=1e-4)
            optimiser.step()

    *_, last = ltsm.prune_iteratively(model, train, rounds=2, rate=0.7)
    assert last.ticket.kept < 10


def test_a_layer_that_is_called_many_times_in_a_forward_pass_learns():
    """Zeros are written to nothing that autograd still needs."""

    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out = nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, values):
            for _ in range(4):
                values = torch.tanh(self.cell(values))
            return self.out(values)

    torch.manual_seed(0)
    model, images = Unrolled(), (torch.randn(30, 6), torch.arange(30) % 3)

    def train(network):
        optimiser = torch.optim.Adam(network.parameters(), 0.01)
        for _ in range(3):
            optimiser.zero_grad()
            first, second = network(images[0]), network(images[0] + 1)
            (nn.functional.cross_entropy(first, images[1]) + second.square().mean()).backward()
            optimiser.step()

    *_, last = ltsm.prune_iteratively(model, train, rounds=3)
    assert last.kept == {"cell.weight": 18, "out.weight": 9}


def hooks_of(model):
    of_all = len(torch_optimizer._global_optimizer_pre_hooks) + len(
        torch_optimizer._global_optimizer_post_hooks
    )
    of_modules = sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in model.modules())
    return of_all + of_modules + sum(len(p._backward_hooks or ()) for p in model.parameters())


class OwnError(Exception):
    pass


@pytest.mark.parametrize("error", [OwnError, KeyboardInterrupt, SystemExit, UsageError])
@pytest.mark.parametrize("number", [0, 2])
def test_whatever_the_loop_raises_comes_out_and_leaves_a_plain_masked_network(error, number, images):
    """In the middle of a round, after a write to what is pruned."""
    model, begun = network(), []

    def train(network):
        begun.append(network)
        learn(network, images, torch.optim.Adam(network.parameters(), 0.01))
        if len(begun) == number + 1:
            in_place(network[0].weight)
            raise error("enough")

    before = hooks_of(model)
    found = ltsm.prune_iteratively(model, train, rounds=5, rate=0.5)
    for _ in range(number):
        next(found)
    with pytest.raises(error, match="enough"):
        next(found)
    assert hooks_of(model) == before
    kept = int((model[0].weight == 0.3).sum())
    assert kept == (48, None, 12)[number]
    assert int((model[0].weight == 0).sum()) == 48 - kept
    with pytest.raises(StopIteration):
        next(found)


def test_what_the_loop_raises_comes_out_whatever_it_has_made_of_the_network():
    """No hook stays, on parameters that were its own either."""
    model = network()
    weight, before = model[0].weight, hooks_of(model)

    def train(network):
        network[0].weight.data = torch.ones(3, 6)
        raise OwnError("enough")

    with pytest.raises(OwnError, match="enough"):
        next(ltsm.prune_iteratively(model, train, rounds=1))
    assert hooks_of(model) == before
    assert not weight._backward_hooks


def test_between_two_rounds_the_network_is_ones_own(images):
    """It is trained, without hooks, and what is done to it changes nothing of what follows; also where one stops early."""

    def run(meddle):
        model, masks = network(), []

        def train(network):
            learn(network, images, torch.optim.Adam(network.parameters(), 0.01))

        for found in ltsm.prune_iteratively(model, train, rounds=3):
            masks.append(found.mask["0.weight"])
            assert hooks_of(model) == 0
            assert all(torch.equal(p, found.ticket.trained[n]) for n, p in model.named_parameters())
            meddle(model)
            if found.number == 2:
                break
        return masks

    def meddle(model):
        learn(model, images, torch.optim.SGD(model.parameters(), 0.5))
        assert model[0].weight.all()
        model.eval().requires_grad_(requires_grad=False)

    assert all(torch.equal(a, b) for a, b in zip(run(lambda _: None), run(meddle), strict=True))


class Stateful(nn.Module):
    """Has batch normalisation, dropout, and a buffer that no state dict holds."""

    def __init__(self):
        super().__init__()
        self.into, self.norm, self.drop, self.out = (
            nn.Linear(6, 8),
            nn.BatchNorm1d(8),
            nn.Dropout(),
            nn.Linear(8, 3),
        )
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, images):
        self.seen += 1
        return self.out(self.drop(torch.relu(self.norm(self.into(images)))))


def test_before_each_round_the_network_is_what_it_was_at_the_call(images):
    """Buffers, modes, requires_grad, and no gradients: only then a loop that ends with eval() trains each round alike."""
    torch.manual_seed(0)
    model = Stateful()
    model.norm.eval()
    model.out.bias.requires_grad_(requires_grad=False)
    begun = []

    def train(network):
        own = {n: t.clone() for n, t in [*network.named_parameters(), *network.named_buffers()]}
        modes = [m.training for m in network.modules()]
        free = [(p.requires_grad, p.grad) for p in network.parameters()]
        begun.append((own, modes, free))
        network.train()
        learn(network, images, torch.optim.Adam(network.parameters(), 0.01))
        assert network.seen == 6
        network.eval()
        network.requires_grad_(requires_grad=True)

    *_, last = ltsm.prune_iteratively(model, train, rounds=2, only=nn.Linear)
    for own, modes, free in begun[1:]:
        assert modes == begun[0][1] == [True, True, False, True, True]
        assert free == begun[0][2]
        for name, values in own.items():
            first = begun[0][0][name]
            assert torch.equal(values, torch.where(values != 0, first, 0.0) if name in last.mask else first)
    assert {*last.ticket.trained} - {*last.mask} >= {"norm.running_mean", "norm.num_batches_tracked"}


def test_an_optimiser_that_is_kept_over_rounds_is_noticed(images, caplog):
    """Not one that is made anew, nor one whose state was put back, nor one without any."""

    def warnings_of(make_train, **more):
        model = network()
        train = make_train(model)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            list(ltsm.prune_iteratively(model, train, rounds=2, **more))
        return caplog.messages

    def kept(model, **how):
        optimiser = torch.optim.SGD(model.parameters(), 0.1, **how)
        return lambda network, *_: learn(network, images, optimiser)

    def put_back(model):
        optimiser = torch.optim.Adam(model.parameters(), 0.01)
        fresh = copy.deepcopy(optimiser.state_dict())

        def train(network):
            optimiser.load_state_dict(fresh)
            learn(network, images, optimiser)

        return train

    words = "SGD still has the moments of the round before: make the optimiser inside the training loop"
    assert warnings_of(lambda model: kept(model, momentum=0.9)) == [words, words]
    assert warnings_of(kept) == []
    assert warnings_of(put_back) == []
    assert warnings_of(lambda _: lambda n: learn(n, images, torch.optim.Adam(n.parameters(), 0.01))) == []
    assert warnings_of(lambda model: kept(model, momentum=0.9), rewind_to=2) == []


def test_a_network_that_is_copied_or_saved_in_the_loop_is_a_plain_one(images):
    """With nothing of ours in the copy."""
    model, copies = network(), []

    def train(network):
        optimiser = torch.optim.Adam(network.parameters(), 0.01)
        learn(network, images, optimiser)
        file = io.BytesIO()
        torch.save(network, file)
        file.seek(0)
        copies.extend([copy.deepcopy(network), torch.load(file, weights_only=False)])

    *_, last = ltsm.prune_iteratively(model, train, rounds=1, rate=0.5)
    for ours in copies[2:]:
        assert all(torch.equal(p, last.ticket.trained[n]) for n, p in ours.named_parameters())
        in_place(ours[0].weight)
        learn(ours, images, torch.optim.SGD(ours.parameters(), 0.1))
        assert ours[0].weight.all()


def test_other_networks_beside_it_are_left_alone(images):
    """A teacher that is trained in the same loop, and other values put in by functional_call."""
    model, teacher = network(), network()

    def train(network):
        learn(network, images, torch.optim.Adam(network.parameters(), 0.01))
        learn(teacher, images, torch.optim.Adam(teacher.parameters(), 0.01))
        values = {n: torch.ones_like(p) for n, p in network.named_parameters()}
        torch.func.functional_call(network, values, (images[0],))
        assert all(bool(v.all()) for v in values.values())

    list(ltsm.prune_iteratively(model, train, rounds=2, rate=0.5))
    assert teacher[0].weight.all()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_network_is_trained_through_its_wrapper(wrapper, images):
    """The tickets are of the network inside, and those that it gives alone."""

    def run(wrap):
        model = network()
        wrapped, seen = wrap(model), []

        def train(given):
            seen.append(given)
            learn(given, images, torch.optim.Adam(model.parameters(), 0.01))

        found = list(ltsm.prune_iteratively(wrapped, train, rounds=2))
        assert all(one is wrapped for one in seen)
        return [{n.replace("_orig_mod.", ""): t for n, t in r.mask.items()} for r in found]

    if wrapper == "AveragedModel":
        with pytest.raises(UsageError, match="has changed no weight"):
            run(WRAPPERS[wrapper])
        return
    for ours, expected in zip(run(WRAPPERS[wrapper]), run(lambda model: model), strict=True):
        assert ours.keys() == expected.keys()
        assert all(torch.equal(ours[name], expected[name]) for name in expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("kind", [*HIDING, "lazy", "meta", "script"])
def test_what_hides_or_lacks_the_values_is_refused_at_the_call(kind):
    change, words = HIDING[kind] if kind in HIDING else UNCOMPUTABLE[kind]
    with pytest.raises(UsageError) as caught:
        ltsm.prune_iteratively(change(network()), print, rounds=1)
    assert words in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_networks_in_other_types_stay_in_them(dtype, images):
    model = network().to(dtype)
    given = images[0].to(dtype), images[1]

    def train(network):
        learn(network, given, torch.optim.SGD(network.parameters(), 0.1))

    *_, last = ltsm.prune_iteratively(model, train, rounds=3)
    assert last.kept == {"0.weight": 24, "2.weight": 12}
    assert all(t.dtype == dtype for t in last.ticket.trained.values())
    assert len(ticket_bytes(last.ticket)) > 0


def test_a_shared_parameter_is_pruned_once_under_all_its_names(images):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    model[2].weight = model[0].weight

    def train(network):
        learn(network, images, torch.optim.Adam(network.parameters(), 0.01))

    *_, last = ltsm.prune_iteratively(model, train, rounds=2, rate=0.5)
    assert last.kept == {"0.weight": 9, "4.weight": 4}
    assert torch.equal(last.mask["0.weight"], last.mask["2.weight"])
    assert last.ticket.covered == 54


NONSENSE = [
    ({"model": {}}, "model must be a torch.nn.Module, not dict"),
    ({"train": None}, "train must be a function of the network, not NoneType"),
    ({"rounds": -1}, "rounds must be a whole number of at least 0, not -1"),
    ({"rounds": 1.5}, "rounds must be a whole number of at least 0, not 1.5"),
    ({"rate": 1}, "rate must be a fraction from 0 to below 1, not 1"),
    ({"rate": -0.1}, "rate must be a fraction from 0 to below 1, not -0.1"),
    ({"rate": "fast"}, "rate must be a number, not 'fast'"),
    ({"output_rate": 2}, "output_rate must be a fraction"),
    ({"output_rate": 0.1, "scope": "global"}, "output_rate is of a layer by itself"),
    ({"scope": "row"}, "scope must be global or layer, not 'row'"),
    ({"mask": "biases"}, "mask must be all or weights, not 'biases'"),
    ({"criterion": "size"}, "there is no criterion 'size'"),
    ({"rewind_to": -3}, "rewind_to must be a whole number of at least 0"),
    ({"keep": 0.2}, "keep must be whole numbers, not 0.2"),
    ({"keep": torch.tensor(3)}, "keep must be numbers, not"),
    ({"keep": (0,)}, "each of keep must be a whole number of at least 1, not 0"),
    ({"only": "Linear"}, "only must be a kind of layer or several, not 'Linear'"),
    ({"only": nn.Conv2d}, "this network has no layer that the recipe covers"),
    ({"seed": -1}, "seed must be a whole number"),
    ({"model": nn.Sequential(nn.Conv2d(1, 2, 3))}, "the recipe does not cover 0.weight .Conv2d."),
]


@pytest.mark.parametrize(("wrong", "words"), NONSENSE, ids=lambda value: " ".join(str(value).split()))
def test_nonsense_is_refused_at_the_call(wrong, words):
    """Before anything is trained."""
    arguments = {"model": network(), "train": lambda _: pytest.fail("it trains"), "rounds": 2, **wrong}
    with pytest.raises(UsageError, match=words):
        ltsm.prune_iteratively(arguments.pop("model"), arguments.pop("train"), **arguments)


def test_a_loop_that_trains_something_else_is_refused(images):
    """A copy that it gives back, say; and weights that are no numbers are named."""

    def trains_a_copy(network):
        ours = copy.deepcopy(network)
        learn(ours, images, torch.optim.Adam(ours.parameters(), 0.01))
        return ours

    found = ltsm.prune_iteratively(network(), trains_a_copy, rounds=1)
    next(found)
    with pytest.raises(UsageError, match="round 0 has changed no weight that a mask covers") as caught:
        next(found)
    assert "in place; what it gives back is not looked at" in caught.value.hint

    def diverges(network):
        with torch.no_grad():
            network[0].weight[0, 0] = torch.nan

    found = ltsm.prune_iteratively(network(), diverges, rounds=1)
    next(found)
    with pytest.raises(
        UsageError, match=r"'0\.weight' of the trained weights holds values that are no numbers"
    ):
        next(found)


def test_who_prunes_until_nothing_is_left_is_told_so(images):
    """And not that the loop trains nothing."""
    found = ltsm.prune_iteratively(
        network(), lambda n: learn(n, images, torch.optim.Adam(n.parameters(), 0.01)), rounds=9, rate=0.99
    )
    assert [next(found).ticket.kept, next(found).ticket.kept] == [72, 0]
    with pytest.raises(UsageError, match="round 1 keeps no weight that a mask covers") as caught:
        next(found)
    assert "rate" in caught.value.hint


@pytest.mark.parametrize("change", ["layer", "buffer"])
def test_a_loop_that_changes_the_structure_is_refused(change, images):
    def train(network):
        learn(network, images, torch.optim.Adam(network.parameters(), 0.01))
        if change == "layer":
            network[2] = nn.Linear(8, 4)
        else:
            network.register_buffer("extra", torch.zeros(1))

    found = ltsm.prune_iteratively(network(), train, rounds=1)
    with pytest.raises(UsageError, match=r"is not what it was|has another shape"):
        list(found)


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_a_loop_that_compiles_the_network_as_one_graph_keeps_its_zeros(where, images):
    """A compiler cannot branch on values: there zeros are set around the steps alone."""
    model = network()
    outside = torch.compile(model, backend="eager", fullgraph=True)

    def train(network):
        inside = torch.compile(network, backend="eager", fullgraph=True)
        learn(inside if where == "inside" else outside, images, torch.optim.Adam(network.parameters(), 0.01))

    def uncompiled(network):
        learn(network, images, torch.optim.Adam(network.parameters(), 0.01))

    found = list(ltsm.prune_iteratively(model, train, rounds=2, rate=0.5))
    expected = list(ltsm.prune_iteratively(network(), uncompiled, rounds=2, rate=0.5))
    for ours, theirs in zip(found, expected, strict=True):
        assert all(torch.equal(ours.mask[name], flags) for name, flags in theirs.mask.items())
        assert all(not ours.ticket.trained[name][~flags].any() for name, flags in ours.mask.items())
