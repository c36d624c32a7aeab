"""What someone who wants speed would write today: the protocol's network in JAX, jitted, twenty steps a call."""

from __future__ import annotations

import importlib
import os
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ltsm.core.network import initial_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from ltsm.bench.contestants import Kind
    from ltsm.core.datasets import Dataset
    from ltsm.core.network import Network
    from ltsm.protocol import Order, Protocol

NAME = "JAX program"
STEPS = 20
"""Iterations of one call: as many as the CUDA engine's graph has."""
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def absence(device: str, order: Order) -> str:
    """Why it cannot be measured here, in words for a person; empty where it can."""
    if order != "file":
        return f"It trains in file order, not in {order} order."
    if device != "cpu":
        return f"It is measured on the CPU, not on {device}."
    return "" if find_spec("jax") else "JAX is not installed: pip install 'jax>=0.4.30'."


class JaxLoop:
    """`jit` and `scan` with donated buffers, one seed, in file order, on one thread.

    Args:
        data: becomes arrays.
        network: what to train, from the initial values that this program's engines start with.
        protocol: learning rate, batch size and the like.
    """

    kind: Kind = "jax"
    name = NAME
    threads = 1
    models = 1

    def __init__(self, data: Dataset, network: Network, protocol: Protocol) -> None:
        self._jax = _jax()
        array = self._jax.numpy.asarray
        self._train = array(data.train_images.numpy()), array(data.train_labels.numpy())
        self._validation = array(data.validation_images.numpy()), array(data.validation_labels.numpy())
        tensors = [layer.tensors(initial_values(network, 0, "benchmark")) for layer in network.layers]
        parameters = [(array(weight.T.numpy().copy()), array(bias.numpy())) for weight, bias in tensors]
        nothing = self._jax.tree.map(self._jax.numpy.zeros_like, parameters)
        self._state = parameters, nothing, self._jax.tree.map(self._jax.numpy.copy, nothing), 0
        exact_gelu = partial(self._jax.nn.gelu, approximate=False)
        activation = {"relu": self._jax.nn.relu, "tanh": self._jax.numpy.tanh, "gelu": exact_gelu}
        loss = _loss(self._jax, activation[network.activation])
        step = _step(self._jax, loss, protocol, len(data.train_labels))
        self._calls = {length: _calls(self._jax, step, length) for length in (STEPS, 1)}
        self._evaluate = self._jax.jit(loss)
        self.loss = 0.0
        self.train(STEPS + 1)  # compiles both calls, and the evaluation below: no round should wait for that
        self.evaluate()

    def train(self, iterations: int) -> None:
        """Go on by so many iterations."""
        total = 0.0
        for length, times in ((STEPS, iterations // STEPS), (1, iterations % STEPS)):
            for _ in range(times):
                self._state, losses = self._calls[length](self._state, *self._train)
                total += losses
        self.loss = float(total) / max(iterations, 1)  # waits for all of them

    def evaluate(self) -> tuple[float, float]:
        """Loss and accuracy on the validation set."""
        loss, accuracy = self._evaluate(self._state[0], *self._validation)
        return float(loss), float(accuracy)


def _jax() -> Any:
    """The package; it reads how many threads it may use when it is first imported."""
    if ONE_THREAD not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE_THREAD}".strip()
    return importlib.import_module("jax")


def _loss(jax: Any, activation: Callable[[Any], Any]) -> Callable[..., tuple[Any, Any]]:
    """Mean cross entropy and accuracy of parameters for images and labels."""

    def loss(parameters: Any, images: Any, labels: Any) -> tuple[Any, Any]:
        values = images
        for i, (weight, bias) in enumerate(parameters):
            values = (activation(values) if i else values) @ weight + bias
        shares = jax.numpy.take_along_axis(jax.nn.log_softmax(values), labels[:, None], 1)
        return -shares.mean(), (values.argmax(1) == labels).mean()

    return loss


def _step(jax: Any, loss: Callable[..., Any], p: Protocol, images: int) -> Callable[..., Any]:
    """One iteration: the batch by its number, the gradient, and Adam written out, which jit fuses."""
    size = min(p.batch_size, images)
    batches = -(-images // size)

    def step(state: Any, train: Any) -> tuple[Any, Any]:
        parameters, first, second, done = state
        batch = [jax.lax.dynamic_slice_in_dim(part, done % batches * size, size) for part in train]
        (value, _), gradient = jax.value_and_grad(loss, has_aux=True)(parameters, *batch)
        first = jax.tree.map(lambda m, g: p.beta1 * m + (1 - p.beta1) * g, first, gradient)
        second = jax.tree.map(lambda v, g: p.beta2 * v + (1 - p.beta2) * g * g, second, gradient)
        rate = p.lr / (1 - p.beta1 ** (done + 1))
        root = (1 - p.beta2 ** (done + 1)) ** 0.5

        def moved(w: Any, m: Any, v: Any) -> Any:
            return w - rate * m / (jax.numpy.sqrt(v) / root + p.epsilon)

        return (jax.tree.map(moved, parameters, first, second), first, second, done + 1), value

    return step


def _calls(jax: Any, step: Callable[..., Any], length: int) -> Callable[..., Any]:
    """So many iterations as one call, compiled; gives the new state and the sum of the losses."""

    def call(state: Any, *train: Any) -> tuple[Any, Any]:
        state, losses = jax.lax.scan(lambda now, _: step(now, train), state, None, length=length)
        return state, losses.sum()

    compiled: Callable[..., Any] = jax.jit(call, donate_argnums=0)
    return compiled
