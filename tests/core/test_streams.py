"""Random numbers are a function of (seed, purpose, …) alone, on every machine and for ever."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from ltsm.core.streams import _words, normal, permutation, uniform


def test_numbers_are_the_ones_they_have_always_been() -> None:
    """A change here would falsify every stored result: never adapt these values."""
    assert [value.hex() for value in uniform(0, "golden", count=4).tolist()] == [
        "0x1.0b599e0000000p-1",
        "0x1.16e89a0000000p-1",
        "0x1.f0ec000000000p-5",
        "0x1.7edc000000000p-2",
    ]
    assert permutation(3, "order", 7, count=8).tolist() == [5, 2, 6, 3, 4, 7, 0, 1]
    many = hashlib.sha256(uniform(9, "golden", 1, count=100_000).tobytes()).hexdigest()
    assert many == "46a044e34f9edb2fc18b342d84d71d1cd257e6f9dd0b4b749717482336b01281"
    order = hashlib.sha256(permutation(9, "golden", 1, count=60_000).tobytes()).hexdigest()
    assert order == "10c7a2d53a98f635702eb7b9164d2c963234adb421b385fbd6466b0ab1279892"


def test_a_longer_stream_begins_with_the_shorter_one() -> None:
    assert np.array_equal(uniform(5, "a", count=10), uniform(5, "a", count=99)[:10])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((0, 1), (1, 0)),
        ((0, "order", 1), (1, "order", 0)),
        ((0, "a"), (0, "b")),
        ((1, 23), (12, 3)),
        ((0, "a", "b"), (0, "ab")),
        ((0, 1), (0, "1")),
        ((0,), (0, "")),
    ],
)
def test_different_names_are_different_streams(
    one: tuple[int, str | int], other: tuple[int, str | int]
) -> None:
    """As with seeds that are added to epochs they are not in other programs."""
    first, second = uniform(*one, count=2_000), uniform(*other, count=2_000)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


def test_uniform_is_uniform_in_0_1() -> None:
    values = uniform(1, "spread", count=200_000)
    assert values.dtype == np.float32
    assert values.min() >= 0
    assert values.max() < 1
    shares = np.histogram(values, bins=20, range=(0, 1))[0] / len(values)
    assert np.abs(shares - 0.05).max() < 0.003


def test_normal_numbers_are_normal_and_the_ones_they_have_always_been() -> None:
    """Moments of a million of them; Box and Muller's of two known uniform ones."""
    values = normal(0, "test", count=1_000_000).astype(np.float64)
    assert abs(values.mean()) < 0.004
    assert abs(values.std() - 1) < 0.003
    assert abs((values**4).mean() - 3) < 0.05
    assert abs((np.abs(values) < 1).mean() - 0.682689) < 0.002
    assert np.isfinite(values).all()
    assert [round(float(v), 5) for v in normal(0, "test", count=3)] == [0.74587, 1.8693, 0.06736]
    first, second = (_words(0, ("test",), 2) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    expected = np.sqrt(-2 * np.log(1 - first)) * np.cos(2 * np.pi * second)
    assert normal(0, "test", count=1)[0] == np.float32(expected)


def test_permutation_holds_every_number_once() -> None:
    order = permutation(2, "order", 0, count=1_000)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(1_000))
    assert not np.array_equal(order, np.arange(1_000))


def test_nothing_is_drawn_for_a_count_of_0() -> None:
    assert len(uniform(0, count=0)) == len(permutation(0, count=0)) == 0
