"""What is asked of another store before anything of it is believed: it may come from anybody.

Its seals say that it is as it was written, and not by whom: names and numbers of it become paths and rows here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from sqlalchemy import func, or_, select

from ltsm.errors import StoreError, UsageError
from ltsm.grammar import typed
from ltsm.notation import quoted
from ltsm.protocol import from_settings
from ltsm.store import models, read
from ltsm.store.values import DROPPED, Role
from ltsm.studies.recipe import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection

    from ltsm.protocol import Protocol
    from ltsm.store.engine import Store
    from ltsm.store.other import Other
    from ltsm.store.values import ProtocolRow

_KINDS = {
    "INTEGER": ("integer",),
    "BOOLEAN": ("integer",),
    "DOUBLE": ("real", "integer"),
    "BLOB": ("blob",),
    **dict.fromkeys(("VARCHAR", "JSON", "DATETIME"), ("text",)),
}
"""What SQLite keeps in a column of each type; it would keep anything in any."""
_HINT = "do not use that store"


def refuse_strange(other: Other) -> None:
    """Refuse values that are none of their columns', roles that there are not, and identities that are not theirs.

    Raises:
        StoreError: there are such.
    """
    with read.reading(other.store) as connection:
        if strange := next(_strange(connection), None):
            raise StoreError(f"{other.path} has {strange}.", _HINT)
    for row in read.protocols(other.store):
        protocol_of(other, row)


def _strange(connection: Connection) -> Iterator[str]:
    for table in models.METADATA.tables.values():
        query = select(1).select_from(table).where(or_(*map(_is_strange, table.columns)))
        if connection.execute(query.limit(1)).first():
            yield f"values in {table.name} that it cannot have"
    for role in connection.execute(select(models.file.c.role).distinct()).scalars():
        if role.removeprefix(DROPPED) not in get_args(Role):
            yield f"a file that is {quoted(role)}, which none is"
    recipe = models.recipe.c
    for name, found, settings in connection.execute(select(recipe.name, recipe.fingerprint, recipe.settings)):
        if fingerprint(settings) != found:
            yield f"a recipe {quoted(name)} that is not what its fingerprint says"
    one, another = models.run.alias().c, models.run.alias().c
    made_from = (models.need.c.run_id == one.id, models.need.c.needs_id == another.id)
    apart = (one.seed != another.seed) | (one.protocol_id != another.protocol_id)
    if connection.execute(select(1).where(*made_from, apart).limit(1)).first():
        yield "a run that is made from one of another seed or protocol"


def protocol_of(other: Other, row: ProtocolRow) -> Protocol:
    """A protocol of another store.

    Raises:
        StoreError: this program does not know its settings, or they are not those that its fingerprint says.
    """
    try:
        found = from_settings(row.settings, row.name)
    except UsageError as error:
        raise StoreError(
            f"{other.path} has a protocol {quoted(row.name)} that this ltsm cannot read: {error.message}",
            "pip install --upgrade ltsm, or leave that store out",
        ) from error
    if found.fingerprint != row.fingerprint:
        raise StoreError(
            f"the protocol {quoted(row.name)} of {other.path} is not what its fingerprint says.", _HINT
        )
    return found


def refuse_other_data(own: Store, others: Sequence[Other]) -> None:
    """Refuse runs under one protocol that were computed from different data.

    Raises:
        StoreError: there are.
    """
    seen = {p.fingerprint: ("this store", read.data_digests(own, p.id)) for p in read.protocols(own)}
    for other in others:
        for row in read.protocols(other.store):
            digests = read.data_digests(other.store, row.id)
            where, known = seen.get(row.fingerprint, ("this store", set()))
            if digests and known and digests != known:
                raise StoreError(
                    f"the runs of {row.name} in {other.path} were computed from other data than those in {where}.",
                    f"keep them apart: {typed(['db', 'merge', str(other.path)], 'ANOTHER.db')}",
                )
            seen[row.fingerprint] = where if known else str(other.path), known | digests


def _is_strange(column: ColumnElement[object]) -> ColumnElement[bool]:
    kinds = _KINDS[str(column.type)]
    return func.typeof(column).not_in((*kinds, "null") if column.nullable else kinds)
