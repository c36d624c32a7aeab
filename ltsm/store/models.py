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

run = Table(
    "run",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("protocol_id", Integer, ForeignKey("protocol.id"), nullable=False),
    Column("seed", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("hidden", String, nullable=False),
    Column("state", String, nullable=False),
    Column("iterations", Integer, nullable=False),
    Column("iteration", Integer, nullable=False),
    Column("best_iteration", Integer),
    Column("parameters", Integer),
    Column("relative_size", Double),
    Column("initial_weights", String),
    Column("initial_weights_sha256", String),
    Column("final_weights", String),
    Column("final_weights_sha256", String),
    Column("checkpoint", String),
    Column("checkpoint_sha256", String),
    Column("device", String),
    Column("seconds", Double, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("updated_at", UtcTime, nullable=False),
    Column("error", String),
    Column("provenance", JSON, nullable=False),
    Column("previous_checkpoint", String),
    Column("previous_checkpoint_sha256", String),
    Column("previous_iteration", Integer),
    UniqueConstraint("protocol_id", "seed", "kind", "hidden"),
    CheckConstraint("kind IN ('initial', 'baseline', 'ticket', 'hyperop')", name="kind"),
    CheckConstraint(
        "state IN ('pending', 'running', 'interrupted', 'done', 'diverged', 'failed')", name="state"
    ),
    CheckConstraint("iteration BETWEEN 0 AND iterations", name="iteration"),
)
"""One network being trained: (protocol, seed, kind, hidden sizes).

Paths are relative to the store's folder; each has the SHA-256 of the file beside it.
`seconds` is the time spent training, `relative_size` the parameters kept ÷ those of the baseline.
`previous_checkpoint` holds the state at `previous_iteration`, should `checkpoint` turn out damaged.
"""

metric = Table(
    "metric",
    METADATA,
    Column("run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("iteration", Integer, primary_key=True),
    Column("train_loss", Double),
    Column("val_loss", Double),
    Column("val_accuracy", Double),
    sqlite_with_rowid=False,
)
"""A record: what is kept every 100 iterations. NULL stands for a loss that is no finite number."""

mask = Table(
    "mask",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), nullable=False),
    Column("threshold", Double, nullable=False),
    Column("relative_size", Double, nullable=False),
    Column("layer_sizes", JSON, nullable=False),
    Column("val_loss", Double),
    Column("val_accuracy", Double, nullable=False),
    Column("selected", Boolean, nullable=False),
    Column("bits", LargeBinary, nullable=False),
    UniqueConstraint("run_id", "threshold"),
)
"""The masked network of one threshold, untrained, made from the baseline run `run_id`.

`layer_sizes` are the parameters kept per layer, weights and biases; `bits` is one bit a parameter,
most significant first, in the order of the weights file.
"""

seal = Table(
    "seal",
    METADATA,
    Column("name", String, primary_key=True),
    Column("sha256", String, nullable=False),
)
"""A SHA-256 over what was written, by which damage is found; see `ltsm.store.seal`.

Whoever adds a column to a run changes what its seal covers: after a migration every seal is written anew.
"""
