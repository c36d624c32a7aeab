"""A ticket's network as ONNX: one Gemm a layer, built directly, so that only the package `onnx` is needed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ltsm.errors import UsageError
from ltsm.library.tickets import checked_ticket

if TYPE_CHECKING:
    from ltsm.library.chains import Chain
    from ltsm.library.tickets import Ticket
    from ltsm.library.weights import State

OPSET = 20
"""The first with Gelu."""
IR_VERSION = 9
_OPERATORS = {"relu": "Relu", "tanh": "Tanh", "gelu": "Gelu"}


def onnx_bytes(ticket: Ticket, state: State | None = None) -> bytes:
    """An ONNX file of the network: from images (batch, inputs), float32, to logits (batch, classes).

    Args:
        ticket: whose network.
        state: which values, of `ticket.initial` and `ticket.trained`; by default the trained ones where there are any.

    Raises:
        UsageError: the package onnx is missing, or the network is not plainly a chain of linear layers.
    """
    ticket = checked_ticket(ticket)
    if ticket.chain is None:
        raise UsageError(
            "only linear layers with ReLU, tanh or GELU between them can be written as ONNX here.",
            "load the ticket into your own module, and torch.onnx.export writes that",
        )
    onnx = _onnx()
    graph = _graph(onnx, ticket.chain, ticket.state if state is None else state)
    model = onnx.helper.make_model(
        graph,
        producer_name="ltsm",
        ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def _graph(onnx: Any, chain: Chain, state: State) -> Any:
    helper, network = onnx.helper, chain.network
    nodes, value = [], "images"
    for i, name in enumerate(chain.layers):
        if i > 0:
            nodes.append(helper.make_node(_OPERATORS[network.activation], [value], [f"active_{i}"]))
            value = f"active_{i}"
        result = "logits" if i == len(chain.layers) - 1 else f"layer_{i}"
        nodes.append(helper.make_node("Gemm", [value, f"{name}.weight", f"{name}.bias"], [result], transB=1))
        value = result
    kind = onnx.TensorProto.FLOAT
    images = helper.make_tensor_value_info("images", kind, ["batch", network.sizes[0]])
    logits = helper.make_tensor_value_info("logits", kind, ["batch", network.sizes[-1]])
    weights = [
        onnx.numpy_helper.from_array(state[n].contiguous().numpy(), n) for n in chain.views(chain.flat(state))
    ]
    return helper.make_graph(nodes, "ticket", [images], [logits], weights)


def _onnx() -> Any:
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise UsageError("the package onnx is not installed.", "pip install 'onnx>=1.16'") from error
