"""Each run keeps the checkpoint before its last one, and the store a seal over each run."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add three columns and a table; ltsm writes the seals when all migrations are through."""
    op.add_column("run", sa.Column("previous_checkpoint", sa.String))
    op.add_column("run", sa.Column("previous_checkpoint_sha256", sa.String))
    op.add_column("run", sa.Column("previous_iteration", sa.Integer))
    op.create_table(
        "seal",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_seal"),
    )
