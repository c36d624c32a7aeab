"""Recipes and studies: what identifies them, and what cannot be one."""

from dataclasses import replace

import pytest

from ltsm.errors import UsageError
from ltsm.protocol import PAPER
from ltsm.steps.check import check
from ltsm.studies import controls, names, paper
from ltsm.studies.recipe import BestOf, Mask, Masking, Random, Recipe, Weights
from ltsm.studies.study import LONGEST_NAME, Group, Study

PINNED = {
    "initial training": "9f9c004e31fae10a",
    "baseline": "0260774ea2919e8a",
    "supermask": "6cb7ae7b4fe12682",
    "ticket": "493e30c8850be1ce",
    "hyperop (200, 30)": "9e4cebea75e5bb03",
    "hyperop (50, 5)": "c4fe8e9fb42bb51c",
    "hyperop (50, 15)": "95c7ab2878bfa453",
    "hyperop (50, 25)": "e3c7986bf65cbf12",
    "hyperop (100, 5)": "dee669a52b5f1d38",
    "hyperop (100, 15)": "6b952c4a74fe4055",
    "hyperop (100, 25)": "9c00dab8b98fd41b",
    "hyperop (150, 5)": "99a2eb6b36496463",
    "hyperop (150, 15)": "0265f1631366cf7f",
    "hyperop (150, 25)": "5379c867251a5f20",
    "redrawn": "0bd5fae0da6512f4",
    "redrawn, same signs": "a85e66cba2d27860",
    "shuffled": "f8a100f4a9344c56",
    "signed constants": "79d97cbfa4240ec7",
    "random mask": "400f39f0d8683a5d",
    "inverted mask": "91e5d5671376c2f9",
    "fine-tuned": "2b0afb651b4f0d62",
}
"""Under the paper's protocol, as stores have them: with another identity every finished run would be run again."""


@pytest.mark.parametrize("make", [paper.study, controls.study])
def test_no_recipes_identity_changes_by_accident(make):
    found = {name: fingerprint[:16] for name, fingerprint in make(PAPER).fingerprints().items()}
    assert found == {name: PINNED[name] for name in found}


def test_the_controls_share_the_papers_chain_and_add_only_what_is_new():
    """The same recipes, the same runs: none of the paper's is run twice."""
    mine, theirs = controls.study(PAPER), paper.study(PAPER)
    shared = [name for name in mine.recipes if name in theirs.recipes]
    assert shared == [paper.INITIAL, paper.BASELINE, paper.SUPERMASK, paper.TICKET]
    assert all(mine.fingerprints()[name] == theirs.fingerprints()[name] for name in shared)
    new = {f for name, f in mine.fingerprints().items() if name not in shared}
    assert len(new) == len(mine.recipes) - len(shared) == 7
    assert new.isdisjoint(theirs.fingerprints().values())


def test_the_dense_network_of_the_controls_is_the_beginning_of_the_initial_training():
    """Where that has a record as late as the others end; else it is a recipe of its own."""
    assert controls.study(PAPER).groups[-1] == Group("dense", (paper.INITIAL,), until=5_000)
    for odd in (PAPER.changed(iterations=5_050), PAPER.changed(iterations=30_000)):
        study = controls.study(odd)
        assert study.groups[-1] == Group("dense", ("dense",))
        assert study.recipes["dense"].iterations == odd.iterations
        assert study.recipes["dense"].start == Weights(paper.INITIAL, "initial")


def test_controls_differ_from_the_ticket_in_one_thing_each():
    study = controls.study(PAPER)
    ticket = study.settings(paper.TICKET)
    for name, recipe in study.recipes.items():
        if name not in paper.chain(PAPER):
            own = study.settings(name)
            assert len([k for k in own.keys() | ticket.keys() if own.get(k) != ticket.get(k)]) == 1, recipe


def recipe(**more):
    return Recipe(**{"hidden": (4, 3), "start": Random(("x",)), "iterations": 100} | more)


MASKING = Masking(criterion="sign", before=Weights("a", "initial"), after=Weights("b"), amounts=(0.0, 0.1))
CHAIN = {
    "a": recipe(),
    "b": recipe(start=Weights("a", "initial"), iterations=BestOf("a")),
    "c": recipe(start=Weights("a", "initial"), mask=MASKING, trains="nothing", iterations=0),
    "d": recipe(start=Weights("a", "initial"), mask=Mask("c")),
    "e": recipe(start=Random(("y",))),
}


def study(recipes=CHAIN, **more):
    return Study(name="s", title="", recipes=recipes, **more)


def changed(name, **more):
    return study(CHAIN | {name: replace(CHAIN[name], **more)})


@pytest.mark.parametrize(
    ("name", "descendants"), [("a", "abcd"), ("b", "bcd"), ("c", "cd"), ("d", "d"), ("e", "e")]
)
def test_a_changed_recipe_changes_its_descendants_and_no_other(name, descendants):
    before, after = study().fingerprints(), changed(name, keep=(50,)).fingerprints()
    assert {other for other in CHAIN if before[other] != after[other]} == set(descendants)


CHANGES = {
    "hidden": {"hidden": (4, 2)},
    "start": {"start": Random(("y", 1))},
    "kept": {"kept": "shuffled"},
    "pruned": {"pruned": "other"},
    "length": {"iterations": 101},
    "its length another's": {"iterations": BestOf("e")},
    "keep": {"keep": (10,)},
    "draw": {"draw": ("other",)},
    "mask": {"mask": None},
    "the mask's control": {"mask": Mask("c", "random")},
    "weights": {"start": Weights("e")},
    "when": {"start": Weights("e", "initial")},
    "a moment": {"start": Weights("e", 50)},
    **{
        name: {"mask": replace(MASKING, **more)}
        for name, more in {
            "criterion": {"criterion": "size"},
            "amounts": {"amounts": (0.0,)},
            "what an amount is": {"by": "fraction"},
            "scope": {"scope": "layer"},
            "covers": {"covers": "weights"},
            "choice": {"choose": (0.0, 0.1)},
            "within": {"within": Mask("c")},
            "before": {"before": Weights("e")},
        }.items()
    },
}


def test_every_part_of_a_recipe_is_part_of_its_identity():
    found = [changed("d", **more).fingerprints()["d"] for more in CHANGES.values()]
    assert len({*found, study().fingerprints()["d"]}) == len(CHANGES) + 1


def test_names_and_order_are_no_part_of_it():
    """Neither the study's, the group's, nor the recipe's own: a run of another name is the same run."""
    other = {
        "first": CHAIN["a"],
        "second": replace(CHAIN["b"], start=Weights("first", "initial"), iterations=BestOf("first")),
    }
    mine = study().fingerprints()
    assert study(other).fingerprints() == {"first": mine["a"], "second": mine["b"]}
    backwards = study(dict(reversed(CHAIN.items())), groups=(Group("x", ("d",)),))
    assert backwards.fingerprints() == mine
    assert backwards.name_of(mine["d"]) == "d"
    assert backwards.name_of("x") is None


def test_settings_leave_out_what_is_as_ever():
    """A new field changes no old recipe's identity."""
    assert study().settings("a") == {
        "hidden": [4, 3],
        "start": {"type": "Random", "stream": ["x"]},
        "iterations": 100,
    }
    mine = study().fingerprints()
    assert study().settings("d")["mask"] == {"type": "Mask", "of": mine["c"]}
    assert study().settings("c")["mask"] == {
        "type": "Masking",
        "criterion": "sign",
        "before": {"type": "Weights", "of": mine["a"], "at": "initial"},
        "after": {"type": "Weights", "of": mine["b"]},
        "amounts": [0.0, 0.1],
    }


def test_needs_by_role():
    assert CHAIN["b"].needs == {"start": "a", "length": "a"}
    assert CHAIN["c"].needs == {"start": "a", "before": "a", "after": "b"}
    assert CHAIN["d"].needs == {"start": "a", "mask": "c"}
    assert CHAIN["e"].needs == {}
    within = replace(CHAIN["d"], mask=replace(MASKING, within=Mask("c")))
    assert within.needs == {"start": "a", "before": "a", "after": "b", "within": "c"}
    assert list(study().ancestors("d")) == ["a", "b", "c", "d"]
    assert list(study().ancestors("e", "b")) == ["a", "b", "e"]


REFUSED = {
    "itself": ({"a": recipe(start=Weights("a"))}, "the recipe 'a' needs 'a', which needs it in turn"),
    "a circle": (
        {"a": recipe(start=Weights("c")), "b": recipe(start=Weights("a")), "c": recipe(start=Weights("b"))},
        "the recipe '.' needs '.', which needs it in turn",
    ),
    "what is not there": (
        {"a": recipe(start=Weights("b"))},
        "the recipe 'a' needs 'b', which the study does not have",
    ),
    "a mask that is not there": ({"a": recipe(mask=Mask("m"))}, "the recipe 'a' needs 'm'"),
    "no name": ({"": recipe()}, "the recipe '' needs a printable name"),
    "blanks": ({"  ": recipe()}, "needs a printable name"),
    "a control character": ({"a\nb": recipe()}, "needs a printable name"),
    "too long a name": ({"a" * (LONGEST_NAME + 1): recipe()}, f"a printable name of at most {LONGEST_NAME}"),
    "no recipe": ({"a": 3}, "the recipe 'a' is no Recipe but"),
    "no layers": ({"a": recipe(hidden=(0,))}, "the recipe 'a'.*every layer needs"),
    "nothing to do": ({"a": recipe(trains="nothing")}, "the recipe 'a' trains nothing and makes no mask"),
    "no amount": (
        CHAIN | {"c": replace(CHAIN["c"], mask=replace(MASKING, amounts=()))},
        "the recipe 'c' has no amount",
    ),
    "no amount allowed": (
        CHAIN | {"c": replace(CHAIN["c"], mask=replace(MASKING, choose=(0.5, 0.6)))},
        "the recipe 'c' has no amount that may be chosen",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_study_can_have_is_refused_and_the_recipe_named(case):
    recipes, words = REFUSED[case]
    with pytest.raises(UsageError, match=words):
        study(recipes)


def test_groups_of_what_is_not_there_are_refused():
    with pytest.raises(UsageError, match="the group 'x' has the recipe 'z'"):
        study(groups=(Group("x", ("z",)),))
    with pytest.raises(UsageError, match="the reference 'y' is no group: there are x"):
        study(groups=(Group("x", ("a",)),), reference="y")


def test_without_groups_everything_that_trains_is_compared_with_the_first():
    assert [group.label for group in study().groups] == ["a", "b", "d", "e"]
    assert study().reference == "a"


UNMAKEABLE = {
    "criterion": (
        {"c": {"mask": replace(MASKING, criterion="size of the moon")}},
        "'c' has the criterion 'size of the moon'",
    ),
    "what an amount is": (
        {"c": {"mask": replace(MASKING, by="weight")}},
        "'c' has the by 'weight': there are threshold, fraction",
    ),
    "scope": ({"c": {"mask": replace(MASKING, scope="half")}}, "'c' has the scope 'half'"),
    "covers": ({"c": {"mask": replace(MASKING, covers="biases")}}, "'c' has the covers 'biases'"),
    "kept": ({"d": {"kept": "lost"}}, "'d' has the kept 'lost': there are initial, reinitialised"),
    "pruned": ({"d": {"pruned": "one"}}, "'d' has the pruned 'one': there are zero"),
    "trains": ({"d": {"trains": "everything"}}, "'d' has the trains 'everything'"),
    "control": (
        {"d": {"mask": Mask("c", "upside down")}},
        "'d' has the control 'upside down': there are inverted, random",
    ),
    "an iteration without a record": ({"a": {"keep": (55,)}}, "'a' keeps iteration 55, which has no record"),
    "an iteration after the end": (
        {"a": {"keep": (100, 200)}},
        "'a' keeps iteration 200, which is none of its",
    ),
    "the iteration before all": (
        {"a": {"keep": (0,)}},
        "'a' keeps iteration 0, which is none of its training",
    ),
    "an iteration that nobody keeps": (
        {"a": {"keep": (100,)}, "e": {"start": Weights("a", 200)}},
        "'e' needs iteration 200 of 'a', which does not keep it",
    ),
    "one for a mask": (
        {"c": {"mask": replace(MASKING, after=Weights("b", 100))}},
        "'c' needs iteration 100 of 'b'",
    ),
    "weights of a search": ({"e": {"start": Weights("c")}}, "'e' needs weights of 'c', which trains nothing"),
    "weights of no moment": (
        {"e": {"start": Weights("a", "finall")}},
        "'e' needs the weights 'finall' of 'a': there are",
    ),
    "a mask of what has none": ({"d": {"mask": Mask("b")}}, "'d' needs the mask of 'b', which has none"),
    "a mask of another shape": (
        {"e": {"mask": Mask("c"), "hidden": (4,)}},
        r"'e' has the layers \(4,\), and 'c' has \(4, 3\)",
    ),
    "the best of a search": (
        {"e": {"iterations": BestOf("c")}},
        "'e' is as long as the best of 'c', which trains nothing",
    ),
    "another shape": (
        {"e": {"start": Weights("a"), "hidden": (4,)}},
        r"'e' has the layers \(4,\), and 'a' has \(4, 3\)",
    ),
}


@pytest.mark.parametrize("case", UNMAKEABLE)
def test_what_no_worker_could_make_is_refused_before_anything_is_run(case):
    changes, words = UNMAKEABLE[case]
    made = study(CHAIN | {name: replace(CHAIN[name], **more) for name, more in changes.items()})
    with pytest.raises(UsageError, match=f"the recipe {words}"):
        check(made, PAPER)
    check(study(), PAPER)


def test_what_a_run_is_called():
    assert names.sizes((200, 30)) == "(200, 30)"
    assert names.run_name(paper.hyperop((50, 5)), 3) == "seed 3 hyperop (50, 5)"
    assert [names.kind(name) for name in (paper.INITIAL, "redrawn, same signs", "a: b")] == [
        "initial",
        "redrawn",
        "a",
    ]
    assert names.file_name("hyperop (200, 30)") == "hyperop-200-30"
    assert names.file_name("../Ä/..") == "run"
    assert names.title("fine-tuned") == "Fine-tuned"
