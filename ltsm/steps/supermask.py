"""Steps 3 and 4: mask the initial values by many thresholds, and choose the best untrained network (section 3.4)."""

from __future__ import annotations

from ltsm.steps.training import Place, dataset, network, read_weights
from ltsm.store.values import MaskRow


def find(place: Place, seed: int, initial: bytes, trained: bytes) -> list[MaskRow]:
    """Every threshold's masked network with its size and its performance untrained; one of them is selected.

    Args:
        place: the protocol and its data.
        seed: the replicate.
        initial: the bytes of the initial weights file.
        trained: the bytes of the retrained baseline's weights file.
    """
    from ltsm.core.masking import evaluate_masks, select  # noqa: PLC0415 - brings torch, which only workers need

    net = network(place, place.protocol.hidden)
    values = (read_weights(net, content) for content in (initial, trained))
    results = evaluate_masks(dataset(place), place.protocol, net, *values, device=place.device)
    best = select(results, place.protocol)
    return [
        MaskRow(0, seed, r.threshold, r.relative_size, r.kept, r.val_loss, r.val_accuracy, i == best, r.bits)
        for i, r in enumerate(results)
    ]
