"""A training state as bytes: the checkpoint's, and what crosses a process's border."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save

from ltsm.core.state import TrainState, apart, fresh_state, pack, side_by_side, unpack
from ltsm.core.training import advance
from ltsm.errors import StoreError

if TYPE_CHECKING:
    from ltsm.core.datasets import Dataset
    from ltsm.protocol import Protocol


def test_a_state_comes_back_as_it_was(data: Dataset, protocol: Protocol, state: TrainState) -> None:
    trained, _ = advance(data, protocol, state, 20)
    back = unpack(pack(trained))
    assert (back.network, back.seeds, back.iteration) == (trained.network, trained.seeds, 20)
    for name in ("parameters", "first_moment", "second_moment", "masks"):
        assert torch.equal(getattr(back, name), getattr(trained, name))


def test_a_state_without_masks_and_with_nan_comes_back(state: TrainState) -> None:
    odd = torch.full_like(state.parameters, torch.nan)
    back = unpack(pack(fresh_state(state.network, state.seeds, odd)))
    assert back.masks is None
    assert back.parameters.isnan().all()


def test_the_same_state_is_the_same_bytes(state: TrainState) -> None:
    assert pack(state) == pack(unpack(pack(state)))


def test_training_goes_on_from_bytes_with_the_same_bits(
    data: Dataset, protocol: Protocol, state: TrainState
) -> None:
    half, _ = advance(data, protocol, state, 20)
    whole, _ = advance(data, protocol, state, 40)
    assert pack(advance(data, protocol, unpack(pack(half)), 40)[0]) == pack(whole)


def test_each_model_apart_is_the_one_that_trains_alone(
    data: Dataset, protocol: Protocol, state: TrainState
) -> None:
    """With its own moments, so that it goes on alone; put side by side again, they are the state that they were."""
    half, _ = advance(data, protocol, state, 20)
    alone = [advance(data, protocol, one, 20)[0] for one in apart(state)]
    assert [pack(one) for one in apart(half)] == [pack(one) for one in alone]
    assert [one.seeds for one in alone] == [(seed,) for seed in state.seeds]
    assert pack(side_by_side(alone)) == pack(half)
    for odd in (fresh_state(state.network, (7,), state.parameters[:1]), alone[1]):
        with pytest.raises(ValueError, match="Network"):
            side_by_side([apart(state)[0], odd])


def test_every_truncation_is_refused(state: TrainState) -> None:
    whole = pack(state)
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        with pytest.raises(StoreError):
            unpack(whole[:length])


def test_every_flipped_bit_is_noticed(state: TrainState) -> None:
    whole, chance = pack(state), random.Random(0)  # noqa: S311  no secret
    header = 8 + int.from_bytes(whole[:8], "little")
    for place in [*range(header), *(chance.randrange(header, len(whole)) for _ in range(300))]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        with pytest.raises(StoreError):
            unpack(bytes(damaged))


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"not a checkpoint",
        b"\xff" * 64,
        json.dumps({"ltsm": {}}).encode(),
        save({"parameters": torch.zeros(3)}),
        save({"parameters": torch.zeros(3)}, {"ltsm": "[]"}),
        save({"parameters": torch.zeros(3)}, {"ltsm": "{}"}),
        save({"parameters": torch.zeros(3)}, {"ltsm": "nonsense"}),
        save({"parameters": torch.zeros(3)}, {"ltsm": '{"sha256": "0"}'}),
    ],
)
def test_other_bytes_are_refused(foreign: bytes) -> None:
    with pytest.raises(StoreError, match=r"no checkpoint"):
        unpack(foreign)


def test_a_later_format_is_named(state: TrainState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltsm.core.state.FORMAT", 2)
    later = pack(state)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="format 2, not 1"):
        unpack(later)


def test_parts_that_do_not_fit_together_are_refused(state: TrainState) -> None:
    """Even where the digest is right: a state packed by mistake with one seed too many."""
    odd = fresh_state(state.network, (*state.seeds, 9), state.parameters)
    with pytest.raises(StoreError):
        unpack(pack(odd))
