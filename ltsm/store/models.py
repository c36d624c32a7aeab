"""The tables; `migrations/` holds the same, one numbered file per change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name, so that a migration can change it."""


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC: aware in Python, plain `YYYY-MM-DD HH:MM:SS.ffffff` in SQLite."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse a naive moment: it would mean another one in another time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Say again that it is UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


METADATA = MetaData(naming_convention=NAMES)
"""Tables and no mapped classes: rows leave the store as values of its own, and an import of the ORM is a tenth of a second."""

protocol = Table(
    "protocol",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("fingerprint", String, nullable=False, unique=True),
    Column("settings", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
"""One set of deciding settings; `fingerprint` is theirs, `name` a label."""

recipe = Table(
    "recipe",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("settings", JSON, nullable=False),
)
"""How one network comes to be, for any seed; `settings` name its ancestors by their fingerprints, `name` is a label."""

run = Table(
    "run",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("protocol_id", Integer, ForeignKey("protocol.id"), nullable=False),
    Column("recipe_id", Integer, ForeignKey("recipe.id"), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("hidden", String, nullable=False),
    Column("state", String, nullable=False),
    Column("iterations", Integer),
    Column("iteration", Integer, nullable=False),
    Column("best_iteration", Integer),
    Column("inputs", Integer),
    Column("classes", Integer),
    Column("parameters", Integer),
    Column("relative_size", Double),
    Column("device", String),
    Column("seconds", Double, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("updated_at", UtcTime, nullable=False),
    Column("error", String),
    Column("provenance", JSON, nullable=False),
    UniqueConstraint("protocol_id", "seed", "recipe_id"),
    CheckConstraint(
        "state IN ('pending', 'running', 'interrupted', 'done', 'diverged', 'failed')", name="state"
    ),
    CheckConstraint("iteration BETWEEN 0 AND iterations", name="iteration"),
)
"""One network: a recipe and a seed under a protocol.

`kind` and `hidden` are words for who reads by hand: the first of the recipe's name, and its layers. `iterations` is
NULL while the length is not known. `seconds` is the time spent training, `relative_size` the parameters kept ÷ those
of the dense network with the protocol's layers.
"""

file = Table(
    "file",
    METADATA,
    Column("run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String, primary_key=True),
    Column("iteration", Integer, primary_key=True),
    Column("path", String, nullable=False),
    Column("sha256", String, nullable=False),
)
"""A file of a run: `role` initial, final, kept or checkpoint, of an iteration; `dropped final` if it was deleted since.

Paths are relative to the store's folder. Initial values may be another run's file. While a run goes on it has its last
two checkpoints, should the later one turn out damaged.
"""

need = Table(
    "need",
    METADATA,
    Column("run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String, primary_key=True),
    Column("needs_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), nullable=False, index=True),
)
"""Which run another is made from, and as what: start, mask, before, after, within or length."""

metric = Table(
    "metric",
    METADATA,
    Column("run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("iteration", Integer, primary_key=True),
    Column("train_loss", Double),
    Column("val_loss", Double),
    Column("val_accuracy", Double),
    Column("test_loss", Double),
    Column("test_accuracy", Double),
    Column("density", Double),
    Column("sampled_loss", Double),
    Column("sampled_accuracy", Double),
    Column("sampled_test_accuracy", Double),
    sqlite_with_rowid=False,
)
"""A record: what is kept every 100 iterations. NULL stands for a loss that is no finite number, or no test set.

Of a mask that is trained, losses and accuracies are those of the rounded mask, `density` the share of the scored
parameters that it keeps, and what is `sampled` (on the validation set, and on the test set) of masks drawn by their
probabilities. NULL elsewhere.
"""

mask = Table(
    "mask",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), nullable=False),
    Column("amount", Double, nullable=False),
    Column("amount_by", String, nullable=False),
    Column("relative_size", Double, nullable=False),
    Column("layer_sizes", JSON, nullable=False),
    Column("val_loss", Double),
    Column("val_accuracy", Double, nullable=False),
    Column("test_loss", Double),
    Column("test_accuracy", Double),
    Column("selected", Boolean, nullable=False),
    Column("probabilities", JSON(none_as_null=True)),
    Column("bits", LargeBinary, nullable=False),
    UniqueConstraint("run_id", "amount"),
)
"""A masked network, untrained, of one amount, by the run that made it; the selected one is that run's mask. A run that
trains its mask has one, when it has ended, and its amount is the fraction that this keeps of what is scored.

`amount_by` says what the amount is: a threshold of the score, or the fraction kept. `layer_sizes` are the parameters
kept per layer, weights and biases; `bits` is one bit a parameter, most significant first, in the order of the weights
file. `probabilities` is NULL, or of a trained mask that is drawn how many scored parameters are kept with a probability in each
twentieth of 0 … 1.
"""

seal = Table(
    "seal",
    METADATA,
    Column("name", String, primary_key=True),
    Column("sha256", String, nullable=False),
)
"""A SHA-256 over what was written, or the first digits of several, by which damage is found; see `ltsm.store.seal`.

Whoever adds a column changes what a seal covers: after a migration every seal is written anew.
"""
