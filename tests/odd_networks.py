"""Networks as other people's tools leave them: wrapped, with their values hidden, or with none to compute with."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune


def network():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


_ALIVE = []


def distributed(model):
    """DistributedDataParallel in a group of one.

    It is kept for good: a thread of Gloo's lets go of its last work under Python's lock, and whoever destroys the group
    waits for that thread with the lock in hand.
    """
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        _ALIVE.append(nn.parallel.DistributedDataParallel(model))
    finally:
        torch.distributed.destroy_process_group()
    return _ALIVE[-1]


def inside_compiled(model):
    model[2] = torch.compile(model[2], backend="eager")
    return model


WRAPPERS = {
    "DataParallel": nn.DataParallel,
    "DistributedDataParallel": distributed,
    "AveragedModel": torch.optim.swa_utils.AveragedModel,
    "torch.compile": lambda model: torch.compile(model, backend="eager"),
    "torch.compile in DataParallel": lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
    "DataParallel in torch.compile": lambda model: torch.compile(nn.DataParallel(model), backend="eager"),
    "a compiled layer": inside_compiled,
}


def pruned(model):
    prune.l1_unstructured(model[0], "weight", 0.5)
    return model


def spectral(model):
    nn.utils.spectral_norm(model[0])
    return model


def weight_normed(model):
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # torch advises the parametrisation, and people still load the old one
        nn.utils.weight_norm(model[0])
    return model


def parametrised(model):
    parametrizations.weight_norm(model[0])
    return model


HIDING = {
    "prune": (pruned, "ltsm.make_permanent(model) turns the masks of torch.nn.utils.prune into zeros"),
    "parametrisation": (parametrised, "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')"),
    "old weight_norm": (weight_normed, "torch.nn.utils.remove_weight_norm(layer)"),
    "old spectral_norm": (spectral, "torch.nn.utils.remove_spectral_norm(layer)"),
}


def lazy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that lazy layers are new
        return nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 3))


UNCOMPUTABLE = {
    "lazy": (lambda _: lazy(), "lazy layer, which has no values yet"),
    "meta": (lambda model: copy.deepcopy(model).to("meta"), "on the device meta"),
    "float8": (
        lambda model: {n: t.to(torch.float8_e4m3fn) for n, t in model.state_dict().items()},
        "float8_e4m3fn, which cannot be computed with",
    ),
    "complex": (
        lambda model: {n: t.cfloat() for n, t in model.state_dict().items()},
        "complex64, not floats",
    ),
    "sparse": (lambda model: {n: t.to_sparse() for n, t in model.state_dict().items()}, "sparse_coo tensor"),
    "script": (torch.jit.script, "module of TorchScript"),
    "objects": (
        lambda model: {n: np.array([t] * 2, object) for n, t in model.state_dict().items()},
        "holds object, not numbers",
    ),
}
