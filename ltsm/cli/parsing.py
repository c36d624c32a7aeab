"""What every command line is checked for, whatever the command: words said twice, and words that are no command."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption

from ltsm.errors import UsageError
from ltsm.notation import quoted

ALIKE = 0.75
"""How alike a mistyped word and a command are, of 1: `reprot` is `report`, `runs` is not `prune`."""


class Command(TyperCommand):
    """A command that takes no option twice where one would silently win."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments that are left.

        Raises:
            UsageError: an option that has one value is given two.
        """
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(order).items():
            # Flags say the same however often; of a pair such as --weights/--no-weights the last one counts everywhere.
            once = isinstance(option, TyperOption) and not (option.multiple or option.is_flag)
            if once and times > 1:
                raise UsageError(
                    f"{option.opts[0]} is given {times} times.",
                    f"{ctx.command_path} with one {option.opts[0]}",
                )
        return super().parse_args(ctx, args)


class Group(TyperGroup):
    """Commands by name; what is none leads to those that begin like it or look like it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names.

        Raises:
            UsageError: none.
        """
        if args[0] in self.commands or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        word, names = args[0], list(self.commands)
        near = [name for name in names if name.startswith(word)] or get_close_matches(
            word, names, cutoff=ALIKE
        )
        hint = " or ".join(f"{ctx.command_path} {name}" for name in near) or f"{ctx.command_path} --help"
        raise UsageError(f"there is no command {quoted(word)}.", hint)
