"""What is measured of networks: values that leave this room."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Mean cross entropy and accuracy on the validation or the test set, one of each per model.

    The prediction is the first of the largest logits. A logit that is no number makes the loss NaN and
    its image count as misclassified: a diverged network has predicted nothing.
    """

    loss: tuple[float, ...]
    accuracy: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of training every so many iterations, one value of each per model.

    Attributes:
        train_loss: the mean over the iterations since the record before this one; NaN at iteration 0.
        val_loss: NaN where the network has diverged.
        val_accuracy: in [0, 1].
        test_loss: empty where there is no test set, as is test_accuracy.
    """

    iteration: int
    train_loss: tuple[float, ...]
    val_loss: tuple[float, ...]
    val_accuracy: tuple[float, ...]
    test_loss: tuple[float, ...] = ()
    test_accuracy: tuple[float, ...] = ()
