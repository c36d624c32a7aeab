"""Alembic's entry: runs on the connection that `ltsm.store.schema` hands it, or on the file given with -x store=FILE."""

from alembic import context

from ltsm.store.engine import connect, store_path
from ltsm.store.models import METADATA


def _run(connection):
    context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


if context.config.attributes.get("connection") is not None:
    _run(context.config.attributes["connection"])
else:
    path = store_path(context.get_x_argument(as_dictionary=True).get("store", "results/ltsm.db"))
    with connect(path, read_only=False).engine.begin() as connection:
        _run(connection)
