"""A random number for every weight of every iteration, by Threefry 2x32 in 13 rounds (Salmon et al., 2011).

The generator is a function of a key and a counter. The key is of the stream's name, (seed, purpose, …, iteration); the
counter says where the weight is in the network, and not in memory: so that any engine, in any order, draws the same,
sixteen at a time where the processor can, and nothing has to be saved for a run to go on.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from ltsm.core.network import Network
    from ltsm.core.streams import Purpose

    Words = NDArray[np.uint32]

ROUNDS = 13
"""The fewest that pass BigCrush (their table 2)."""
_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_PARITY = 0x1BD11BDA
_LAYER = 20
"""Bits of a counter's second word that say which output of its layer is meant; `settings.MAX_WIDTH` fits in."""
_BIAS = 2**31
"""The counter's first word for biases; of weights it is the pair of inputs."""


def key(seed: int, *purpose: Purpose) -> Words:
    """(2,) the key of a stream: of the SHA-256 of its name."""
    name = json.dumps([seed, *purpose], separators=(",", ":"))
    return np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype="<u4", count=2).astype(np.uint32)


def threefry(key: Words, counters: Sequence[Words]) -> tuple[Words, Words]:
    """Two words for each counter, which is two words; modulo 2³² throughout."""
    extended = (key[0], key[1], np.uint32(_PARITY) ^ key[0] ^ key[1])
    first, second = counters[0] + extended[0], counters[1] + extended[1]
    beyond = np.empty_like(second)
    for done in range(1, ROUNDS + 1):  # in place: a third of the time
        turn = _ROTATIONS[(done - 1) % len(_ROTATIONS)]
        first += second
        np.right_shift(second, np.uint32(32 - turn), out=beyond)
        second <<= np.uint32(turn)
        second |= beyond
        second ^= first
        if done % 4 == 0:
            times = done // 4
            first += extended[times % 3]
            second += extended[(times + 1) % 3]
            second += np.uint32(times)
    return first, second


def draws(network: Network, key: Words) -> Tensor:
    """(P,) float32 in (0, 1) for each parameter: odd multiples of 2⁻²⁴, so that neither 0 nor 1 is ever drawn.

    A counter's two words are for the weights of two neighbouring inputs, 2q and 2q + 1, to an output j.
    """
    found = np.empty(network.parameters, dtype=np.uint32)
    for place, layer in enumerate(network.layers):
        outputs = np.arange(layer.outputs, dtype=np.uint32) + np.uint32(place << _LAYER)
        pairs = np.arange((layer.inputs + 1) // 2, dtype=np.uint32)
        words = np.stack(threefry(key, np.broadcast_arrays(pairs[None], outputs[:, None])), axis=-1)
        found[layer.weight] = words.reshape(layer.outputs, -1)[:, : layer.inputs].reshape(-1)
        found[layer.bias] = threefry(key, (np.full_like(outputs, _BIAS), outputs))[0]
    uniform = ((found >> np.uint32(9)).astype(np.float32) + np.float32(0.5)) * np.float32(2**-23)
    return torch.from_numpy(uniform)
