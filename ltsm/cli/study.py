"""`study list|show`: which studies there are, and what one of them is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ltsm.cli import options, say
from ltsm.cli.choices import Choices, StudyOptions, with_choices
from ltsm.studies import all as studies
from ltsm.studies.recipe import Learned, Masking

if TYPE_CHECKING:
    from ltsm.studies.recipe import Recipe
    from ltsm.studies.study import Study

LIST_HELP = """Examples:

[bold]ltsm study list[/]
[bold]ltsm study list --json | jq -r .studies[].name[/]

Every study that `ltsm sweep` knows by name. One of your own is a function: `ltsm sweep module:function`.
"""
SHOW_HELP = """Examples:

[bold]ltsm study show controls[/]
[bold]ltsm study show mine:study --protocol mine.toml[/]
[bold]ltsm study show paper --json | jq .recipes[/]

The recipes of a study, what each of them needs, and about how long all of it takes on this machine.
"""
HELP = """Examples:

[bold]ltsm study list[/]               the studies by name
[bold]ltsm study show controls[/]      what one of them runs

Studies: which there are, and what they are made of.
"""
app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")


@app.command("list", help=LIST_HELP, short_help="Every study by name.")
def list_(json: options.Json = False) -> None:
    """Print the studies."""
    from ltsm.protocol import preset

    found = {name: studies.study(name, preset(studies.protocol_of(name))) for name in studies.STUDIES}
    if json:
        rows = [{"name": n, "title": s.title, "recipes": len(s.recipes)} for n, s in found.items()]
        say.as_json("ltsm-studies", 1, {"studies": rows})
        return
    lines = ((name, str(len(study.recipes)), study.title) for name, study in found.items())
    say.rows(lines, "study", "recipes", "what it asks")


@app.command(help=SHOW_HELP, short_help="What a study is made of, and how long it takes.")
@with_choices
def show(
    choices: Choices,
    own: StudyOptions,
    study: options.StudyName = options.STUDY,
    json: options.Json = False,
) -> None:
    """Print a study's recipes.

    Raises:
        UsageError: there is no such study, or a recipe cannot be.
    """
    from ltsm.cli import running, workers
    from ltsm.cli.sweep import estimated, length_text
    from ltsm.steps import plan
    from ltsm.steps.check import check

    study = own.named(study)
    protocol = choices.made_protocol(usual=studies.protocol_of(study))
    check(studies.study(study, protocol), protocol)
    setup = running.previewed(choices, protocol)
    found = studies.study(study, setup.protocol)
    if json:
        say.as_json("ltsm-study", 1, _as_json(found))
        return
    rows = (
        (name, _start(recipe), _mask(recipe), recipe.trains, length_text(found, name))
        for name, recipe in found.recipes.items()
    )
    headings = ("recipe", "starts from", "mask", "trains", "iterations")
    say.rows(rows, *headings, title=f"{found.name}: {found.title}")
    runs = plan.keys(found.recipes, setup.protocol.seeds)
    say.data(f"{len(runs)} runs for {len(setup.protocol.seeds)} seeds of {setup.protocol.name}")
    say.data(estimated(setup, found, runs, workers.default_jobs(choices.device)))


def _start(recipe: Recipe) -> str:
    """Where its values come from, and what becomes of those that a mask keeps."""
    start = recipe.needs.get("start", "values of its own")
    return start if recipe.kept == "initial" else f"{start}: {recipe.kept}"


def _mask(recipe: Recipe) -> str:
    """Where its mask comes from."""
    mask = recipe.mask
    if isinstance(mask, Masking):
        return f"by {mask.criterion} from {mask.after.of}, {len(mask.amounts)} {mask.by}s"
    if isinstance(mask, Learned):
        return f"learned by {mask.method}"
    if mask is None:
        return ""
    return f"{mask.control} of {mask.of}" if mask.control else mask.of


def _as_json(study: Study) -> dict[str, Any]:
    identities = study.fingerprints()
    recipes = [
        {
            "name": name,
            "fingerprint": identities[name],
            "needs": recipe.needs,
            "settings": study.settings(name),
        }
        for name, recipe in study.recipes.items()
    ]
    groups = [{"label": g.label, "recipes": list(g.recipes), "until": g.until} for g in study.groups]
    head = {"name": study.name, "title": study.title}
    return {**head, "reference": study.reference, "recipes": recipes, "groups": groups}
