"""What was read or made once, and is made again only of what has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping


class Kept:
    """Values by kind and key, each made again once what it is made of is another."""

    def __init__(self) -> None:
        self._known: dict[Hashable, dict[Hashable, tuple[object, Any]]] = {}

    def each(
        self, kind: str, stamps: Mapping[int, object], make: Callable[[list[int]], Mapping[int, Any]]
    ) -> dict[int, Any]:
        """The value of every key, made of its stamp; one that `make` does not give is None."""
        known = self._known.setdefault(kind, {})
        stale = [k for k, stamp in stamps.items() if known.get(k, (None,))[0] != stamp]
        made = make(stale) if stale else {}
        known.update({k: (stamps[k], made.get(k)) for k in stale})
        return {k: known[k][1] for k in stamps}

    def one(self, key: Hashable, stamp: object, make: Callable[[], Any]) -> Any:
        """The value of this key, made of this stamp."""
        known = self._known.setdefault("one", {})
        if known.get(key, (None,))[0] != stamp:
            known[key] = (stamp, make())
        return known[key][1]
