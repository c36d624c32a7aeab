"""What was read or made once, and is made again only of what has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping


class Kept:
    """Values by kind and key, each made again once what it is made of is another."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[object, Any]] = {}

    def each(
        self, kind: str, stamps: Mapping[int, object], make: Callable[[list[int]], Mapping[int, Any]]
    ) -> dict[int, Any]:
        """The value of every key, made of its stamp; one that `make` does not give is None."""
        stale = [k for k, stamp in stamps.items() if self._known.get((kind, k), (None,))[0] != stamp]
        made = make(stale) if stale else {}
        self._known.update({(kind, k): (stamps[k], made.get(k)) for k in stale})
        return {k: self._known[kind, k][1] for k in stamps}

    def one(self, key: Hashable, stamp: object, make: Callable[[], Any]) -> Any:
        """The value of this key, made of this stamp."""
        if self._known.get(key, (None,))[0] != stamp:
            self._known[key] = (stamp, make())
        return self._known[key][1]
