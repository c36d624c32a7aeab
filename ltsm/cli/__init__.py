"""The command line: parse, call, say. One file per command or noun."""


def main() -> None:
    """The program: `commands.command_line`, and what signals do from here to the end of the process."""
    # Signals come first: the other imports take a tenth of a second, in which Ctrl-C would be a traceback.
    from ltsm.cli import signals, surroundings

    signals.install()
    surroundings.prepare()
    from ltsm.cli.commands import command_line

    command_line()
