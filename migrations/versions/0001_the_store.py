"""The store as the first release made it: protocols, runs, records, masks, and two views to read them by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

RESULT = """
CREATE VIEW result AS
SELECT protocol.name AS protocol, run.id AS run_id, run.protocol_id, run.seed, run.kind, run.hidden, run.state,
       run.relative_size, last.val_loss AS final_val_loss, last.val_accuracy AS final_val_accuracy,
       best.val_loss AS minimal_val_loss, run.best_iteration AS minimal_iteration
FROM run
JOIN protocol ON protocol.id = run.protocol_id
LEFT JOIN metric AS last ON last.run_id = run.id AND last.iteration = run.iteration
LEFT JOIN metric AS best ON best.run_id = run.id AND best.iteration = run.best_iteration
WHERE run.state IN ('done', 'diverged')
"""

TABLE_1 = """
CREATE VIEW table_1 AS
SELECT protocol, kind, hidden, count(*) AS n, avg(relative_size) AS relative_size,
       avg(final_val_loss) AS final_val_loss, avg(minimal_val_loss) AS minimal_val_loss,
       avg(minimal_iteration) AS minimal_iteration
FROM result
WHERE kind IN ('ticket', 'hyperop')
GROUP BY protocol_id, kind, hidden
ORDER BY protocol_id, kind DESC, final_val_loss
"""


def upgrade() -> None:
    """Make the four tables and the views."""
    op.create_table(
        "protocol",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_protocol"),
        sa.UniqueConstraint("fingerprint", name="uq_protocol_fingerprint"),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("protocol_id", sa.Integer, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("hidden", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("iterations", sa.Integer, nullable=False),
        sa.Column("iteration", sa.Integer, nullable=False),
        sa.Column("best_iteration", sa.Integer),
        sa.Column("parameters", sa.Integer),
        sa.Column("relative_size", sa.Double),
        sa.Column("initial_weights", sa.String),
        sa.Column("initial_weights_sha256", sa.String),
        sa.Column("final_weights", sa.String),
        sa.Column("final_weights_sha256", sa.String),
        sa.Column("checkpoint", sa.String),
        sa.Column("checkpoint_sha256", sa.String),
        sa.Column("device", sa.String),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("started_at", sa.DateTime),
        sa.Column("finished_at", sa.DateTime),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.Column("error", sa.String),
        sa.Column("provenance", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sa.ForeignKeyConstraint(["protocol_id"], ["protocol.id"], name="fk_run_protocol_id_protocol"),
        sa.UniqueConstraint("protocol_id", "seed", "kind", "hidden", name="uq_run_protocol_id"),
        sa.CheckConstraint("kind IN ('initial', 'baseline', 'ticket', 'hyperop')", name="ck_run_kind"),
        sa.CheckConstraint(
            "state IN ('pending', 'running', 'interrupted', 'done', 'diverged', 'failed')",
            name="ck_run_state",
        ),
        sa.CheckConstraint("iteration BETWEEN 0 AND iterations", name="ck_run_iteration"),
    )
    op.create_table(
        "metric",
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("iteration", sa.Integer, nullable=False),
        sa.Column("train_loss", sa.Double),
        sa.Column("val_loss", sa.Double),
        sa.Column("val_accuracy", sa.Double),
        sa.PrimaryKeyConstraint("run_id", "iteration", name="pk_metric"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_metric_run_id_run", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mask",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("threshold", sa.Double, nullable=False),
        sa.Column("relative_size", sa.Double, nullable=False),
        sa.Column("layer_sizes", sa.JSON, nullable=False),
        sa.Column("val_loss", sa.Double),
        sa.Column("val_accuracy", sa.Double, nullable=False),
        sa.Column("selected", sa.Boolean, nullable=False),
        sa.Column("bits", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mask"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_mask_run_id_run", ondelete="CASCADE"),
        sa.UniqueConstraint("run_id", "threshold", name="uq_mask_run_id"),
    )
    op.execute(RESULT)
    op.execute(TABLE_1)
