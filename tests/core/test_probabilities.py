"""The probabilities that a mask is drawn by, counted."""

import math

import torch

from ltsm.core.mask_training import BINS, histogram
from ltsm.core.network import Network
from ltsm.studies.learned import OF_BERNOULLI, OF_EDGE_POPUP

NETWORK = Network((3, 2, 2))


def test_scores_of_weights_are_counted_by_their_sigmoid():
    """Biases, which no score decides on, are not; nor is a score that is no number."""
    scores = torch.full((NETWORK.parameters,), 100.0)
    first, second = NETWORK.layers
    scores[first.weight] = torch.tensor([0.0, 0.0, -9.0, 9.0, math.log(0.26 / 0.74), math.nan])
    scores[second.weight] = 0.0
    found = histogram(NETWORK, OF_BERNOULLI, scores)
    assert len(found) == BINS
    assert {place: n for place, n in enumerate(found) if n} == {0: 1, 5: 1, 10: 6, 19: 1}


def test_of_masks_that_are_ranked_there_are_none():
    assert histogram(NETWORK, OF_EDGE_POPUP, torch.zeros(NETWORK.parameters)) == ()
