"""What of a record is drawn against the iteration: losses, or accuracies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that every record has: its column there, what it is called, and in which unit it is drawn.

    Attributes:
        record: the column of a record.
        label: as an axis and a caption call it.
        scale: what a record's number is multiplied with.
        unit: of the result.
        rises: whether a training starts far below the rest of its curve, and not far above.
    """

    record: str
    label: str
    scale: float = 1.0
    unit: str = ""
    rises: bool = False

    @property
    def axis(self) -> str:
        """The label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def what(self) -> str:
        """The label within a sentence."""
        return self.label.lower()


LOSS: Final = Measure("val_loss", "Validation loss")
ACCURACY: Final = Measure("val_accuracy", "Validation accuracy", 100.0, "%", rises=True)
MEASURES: Final = {"loss": LOSS, "accuracy": ACCURACY}
"""By the name that `--measure` has for each."""
