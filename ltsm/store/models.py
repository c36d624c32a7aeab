"""The tables as mapped classes; `migrations/` holds the same, one numbered file per change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, CheckConstraint, DateTime, ForeignKey, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
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


class Base(DeclarativeBase):
    """The common metadata."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {dict[str, Any]: JSON, datetime: UtcTime}  # noqa: RUF012 - read once, by SQLAlchemy


class Protocol(Base):
    """One set of deciding settings; `fingerprint` is theirs, `name` a label."""

    __tablename__ = "protocol"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    fingerprint: Mapped[str] = mapped_column(unique=True)
    settings: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Run(Base):
    """One network being trained: (protocol, seed, kind, hidden sizes).

    Paths are relative to the store's folder; each has the SHA-256 of the file beside it.
    `seconds` is the time spent training, `relative_size` the parameters kept ÷ those of the baseline.
    `previous_checkpoint` holds the state at `previous_iteration`, should `checkpoint` turn out damaged.
    """

    __tablename__ = "run"
    __table_args__ = (
        UniqueConstraint("protocol_id", "seed", "kind", "hidden"),
        CheckConstraint("kind IN ('initial', 'baseline', 'ticket', 'hyperop')", name="kind"),
        CheckConstraint(
            "state IN ('pending', 'running', 'interrupted', 'done', 'diverged', 'failed')", name="state"
        ),
        CheckConstraint("iteration BETWEEN 0 AND iterations", name="iteration"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    protocol_id: Mapped[int] = mapped_column(ForeignKey("protocol.id"))
    seed: Mapped[int]
    kind: Mapped[str]
    hidden: Mapped[str]
    state: Mapped[str]
    iterations: Mapped[int]
    iteration: Mapped[int]
    best_iteration: Mapped[int | None]
    parameters: Mapped[int | None]
    relative_size: Mapped[float | None]
    initial_weights: Mapped[str | None]
    initial_weights_sha256: Mapped[str | None]
    final_weights: Mapped[str | None]
    final_weights_sha256: Mapped[str | None]
    checkpoint: Mapped[str | None]
    checkpoint_sha256: Mapped[str | None]
    device: Mapped[str | None]
    seconds: Mapped[float]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
    error: Mapped[str | None]
    provenance: Mapped[dict[str, Any]]
    previous_checkpoint: Mapped[str | None]
    previous_checkpoint_sha256: Mapped[str | None]
    previous_iteration: Mapped[int | None]


class Metric(Base):
    """A record: what is kept every 100 iterations. NULL stands for a loss that is no finite number."""

    __tablename__ = "metric"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    iteration: Mapped[int] = mapped_column(primary_key=True)
    train_loss: Mapped[float | None]
    val_loss: Mapped[float | None]
    val_accuracy: Mapped[float | None]


class Mask(Base):
    """The masked network of one threshold, untrained, made from the baseline run `run_id`.

    `layer_sizes` are the parameters kept per layer, weights and biases; `bits` is one bit a parameter,
    most significant first, in the order of the weights file.
    """

    __tablename__ = "mask"
    __table_args__ = (UniqueConstraint("run_id", "threshold"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    threshold: Mapped[float]
    relative_size: Mapped[float]
    layer_sizes: Mapped[list[int]] = mapped_column(JSON)
    val_loss: Mapped[float | None]
    val_accuracy: Mapped[float]
    selected: Mapped[bool]
    bits: Mapped[bytes]


class Seal(Base):
    """A SHA-256 over what was written, by which damage is found; see `ltsm.store.seal`.

    Whoever adds a column to a run changes what its seal covers: after a migration every seal is written anew.
    """

    __tablename__ = "seal"

    name: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str]
