"""`config show`: what the commands in this folder are told, and by what."""

from __future__ import annotations

from typing import Any

import typer

from ltsm.cli import options, project, say

SHOW_HELP = """Examples:

[bold]ltsm config show[/]
[bold]ltsm config show --store other.db --json[/]

Every setting, its value and where it is from. A flag comes before the environment, that before the project file
ltsm.toml in this folder, that before the default.
"""
HELP = """Examples:

[bold]ltsm config show[/]                                 what holds here, and why
[bold]echo 'store = "mine/ltsm.db"' > ltsm.toml[/]        a project file; also data, device, jobs, protocol

Settings: a flag, the environment, the project file, the default.
"""
SOURCES = {"COMMANDLINE": "flag", "DEFAULT": "default"}
UNSET = {
    "data": "data",
    "jobs": "one a core, or one for a GPU",
    "protocol": "paper; of a store, what changed last",
}
"""What holds where a setting has no value."""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")


@app.command(help=SHOW_HELP, short_help="Every setting, its value and where it is from.")
def show(
    context: typer.Context,
    store: options.Store = options.STORE,  # noqa: ARG001 - read from the context, like all that follow
    data: options.Data = None,  # noqa: ARG001
    device: options.Device = "cpu",  # noqa: ARG001
    jobs: options.Jobs = None,  # noqa: ARG001
    protocol: options.ProtocolName = None,  # noqa: ARG001
    json: options.Json = False,
) -> None:
    """Print the settings."""
    found = {name: _setting(context, name) for name in project.SETTINGS}
    if json:
        say.as_json("ltsm-config", 1, {"settings": found})
        return
    shown = {name: UNSET[name] if one["value"] is None else str(one["value"]) for name, one in found.items()}
    rows = ((name, shown[name], one["from"], project.variable(name)) for name, one in found.items())
    say.rows(rows, "setting", "value", "from", "variable")


def _setting(context: typer.Context, name: str) -> dict[str, Any]:
    value, source = context.params[name], context.get_parameter_source(name)
    told = SOURCES.get(source.name if source else "DEFAULT")
    by = told or (str(project.FILE) if name in project.given else "environment")
    return {"value": value if isinstance(value, int | None) else str(value), "from": by}
