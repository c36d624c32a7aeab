"""Loss and accuracy of parameters by whichever engine serves them."""

from ltsm.core.engine import choose_engine


def evaluate(data, network, protocol, parameters, device="cpu"):
    """Of parameters (models, P) on the validation set, one of each per model."""
    return choose_engine(data, network, protocol, device).evaluate_parameters(parameters)
