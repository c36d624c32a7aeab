"""A run is a recipe and a seed; the search for a supermask is a run; files and needs have tables of their own."""

import hashlib
import json
from itertools import pairwise

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

RESULT = """
CREATE VIEW result AS
SELECT protocol.name AS protocol, run.id AS run_id, run.protocol_id, recipe.name AS recipe, recipe.fingerprint,
       run.seed, run.kind, run.hidden, run.state, run.relative_size,
       first.val_loss AS untrained_val_loss, first.val_accuracy AS untrained_val_accuracy,
       last.val_loss AS final_val_loss, last.val_accuracy AS final_val_accuracy,
       best.val_loss AS minimal_val_loss, run.best_iteration AS minimal_iteration,
       first.test_accuracy AS untrained_test_accuracy, last.test_accuracy AS final_test_accuracy,
       best.test_accuracy AS minimal_test_accuracy, last.sampled_accuracy AS sampled_val_accuracy,
       last.sampled_test_accuracy
FROM run
JOIN protocol ON protocol.id = run.protocol_id
JOIN recipe ON recipe.id = run.recipe_id
LEFT JOIN metric AS first ON first.run_id = run.id AND first.iteration = 0
LEFT JOIN metric AS last ON last.run_id = run.id AND last.iteration = run.iteration
LEFT JOIN metric AS best ON best.run_id = run.id AND best.iteration = run.best_iteration
WHERE run.state IN ('done', 'diverged')
"""

TABLE_1 = """
CREATE VIEW table_1 AS
SELECT protocol, recipe, kind, hidden, count(*) AS n, avg(relative_size) AS relative_size,
       avg(final_val_loss) AS final_val_loss, avg(minimal_val_loss) AS minimal_val_loss,
       avg(minimal_iteration) AS minimal_iteration
FROM result
WHERE recipe NOT IN ('initial training', 'baseline')
      AND EXISTS (SELECT 1 FROM metric WHERE metric.run_id = result.run_id)
GROUP BY protocol_id, fingerprint
ORDER BY protocol_id, kind DESC, final_val_loss
"""

RUN = """
INSERT INTO run (id, protocol_id, recipe_id, seed, kind, hidden, state, iterations, iteration, best_iteration, inputs,
                 classes, parameters, relative_size, device, seconds, started_at, finished_at, updated_at, error,
                 provenance)
SELECT id, protocol_id, :recipe_id, seed, kind, hidden, state,
       CASE WHEN kind = 'baseline' AND initial_weights IS NULL THEN NULL ELSE iterations END, iteration,
       best_iteration, CASE WHEN parameters IS NULL THEN NULL ELSE :inputs END,
       CASE WHEN parameters IS NULL THEN NULL ELSE :classes END, parameters, relative_size, device, seconds,
       started_at, finished_at, updated_at, error, provenance
FROM old_run WHERE protocol_id = :protocol_id AND kind = :kind AND hidden = :hidden
"""

SEARCHES = """
INSERT INTO run (protocol_id, recipe_id, seed, kind, hidden, state, iterations, iteration, inputs, classes, parameters,
                 relative_size, device, seconds, started_at, finished_at, updated_at, provenance)
SELECT b.protocol_id, :recipe_id, b.seed, 'supermask', b.hidden, CASE WHEN m.id IS NULL THEN 'pending' ELSE 'done' END,
       0, 0, CASE WHEN m.id IS NOT NULL THEN :inputs END, CASE WHEN m.id IS NOT NULL THEN :classes END,
       CASE WHEN m.id IS NOT NULL THEN b.parameters END, m.relative_size,
       CASE WHEN m.id IS NOT NULL THEN b.device END, 0.0, CASE WHEN m.id IS NOT NULL THEN b.updated_at END,
       CASE WHEN m.id IS NOT NULL THEN b.updated_at END, b.updated_at,
       CASE WHEN m.id IS NULL THEN '{}' ELSE b.provenance END
FROM old_run AS b LEFT JOIN old_mask AS m ON m.run_id = b.id AND m.selected
WHERE b.protocol_id = :protocol_id AND b.kind = 'baseline' AND b.hidden = :hidden
ORDER BY b.seed
"""

MASKS = """
INSERT INTO mask (id, run_id, amount, amount_by, relative_size, layer_sizes, val_loss, val_accuracy, selected, bits)
SELECT m.id, s.id, m.threshold, 'threshold', m.relative_size, m.layer_sizes, m.val_loss, m.val_accuracy, m.selected,
       m.bits
FROM old_mask AS m JOIN old_run AS b ON b.id = m.run_id
JOIN run AS s ON s.protocol_id = b.protocol_id AND s.seed = b.seed AND s.kind = 'supermask' AND s.hidden = b.hidden
"""

METRICS = """
INSERT INTO metric (run_id, iteration, train_loss, val_loss, val_accuracy)
SELECT run_id, iteration, train_loss, val_loss, val_accuracy FROM old_metric
"""

NEED = """
INSERT INTO need
SELECT r.id, :role, n.id
FROM run AS r
JOIN run AS n ON n.protocol_id = r.protocol_id AND n.seed = r.seed AND n.hidden = r.hidden AND n.kind = :needed
WHERE r.kind = :kind
"""

FILES = (
    ("initial", "0", "initial_weights"),
    ("final", "iteration", "final_weights"),
    ("checkpoint", "iteration", "checkpoint"),
    ("checkpoint", "previous_iteration", "previous_checkpoint"),
)
NEEDS = (
    ("baseline", "start", "initial"),
    ("baseline", "length", "initial"),
    ("supermask", "start", "initial"),
    ("supermask", "before", "initial"),
    ("supermask", "after", "baseline"),
    ("ticket", "start", "initial"),
    ("ticket", "mask", "supermask"),
)


def upgrade() -> None:
    """Name every run's recipe, make a run of every search, and move files and masks; ltsm then seals all anew."""
    connection = op.get_bind()
    for view in ("table_1", "result"):
        op.execute(f"DROP VIEW {view}")
    # Children first: where the parents of foreign keys are dropped, SQLite deletes their children's rows.
    for table in ("metric", "mask", "run"):
        op.rename_table(table, f"old_{table}")
    _make_tables()
    for protocol_id, settings in connection.execute(
        sa.text("SELECT id, settings FROM protocol ORDER BY id")
    ).all():
        _runs(connection, protocol_id, json.loads(settings))
    for statement in (MASKS, METRICS):
        connection.execute(sa.text(statement))
    for role, iteration, column in FILES:
        values = f"SELECT id, '{role}', {iteration}, {column}, {column}_sha256 FROM old_run"  # noqa: S608 - our own words
        op.execute(f"INSERT INTO file {values} WHERE {column} IS NOT NULL AND {column}_sha256 IS NOT NULL")
    for kind, role, needed in NEEDS:
        connection.execute(sa.text(NEED), {"kind": kind, "role": role, "needed": needed})
    for table in ("metric", "mask", "run"):
        op.drop_table(f"old_{table}")
    op.execute(RESULT)
    op.execute(TABLE_1)


def _runs(connection, protocol_id, settings):
    """All runs of a protocol, and one for each search."""
    rows = connection.execute(
        sa.text("SELECT kind, hidden, parameters FROM old_run WHERE protocol_id = :id ORDER BY id"),
        {"id": protocol_id},
    ).all()
    inputs, classes = _shape({(hidden, count) for kind, hidden, count in rows if count and kind != "ticket"})
    for kind, hidden in dict.fromkeys((kind, hidden) for kind, hidden, _ in rows):
        values = {"protocol_id": protocol_id, "hidden": hidden, "inputs": inputs, "classes": classes}
        recipe_id = _recipe(connection, settings, kind, _sizes(hidden))
        connection.execute(sa.text(RUN), values | {"kind": kind, "recipe_id": recipe_id})
    for hidden in dict.fromkeys(hidden for kind, hidden, _ in rows if kind == "baseline"):
        values = {"protocol_id": protocol_id, "hidden": hidden, "inputs": inputs, "classes": classes}
        recipe_id = _recipe(connection, settings, "supermask", _sizes(hidden))
        connection.execute(sa.text(SEARCHES), values | {"recipe_id": recipe_id})


def _sizes(hidden):
    return [int(size) for size in hidden.split(",")]


def _shape(known):
    """Inputs and classes that explain the sizes of all dense networks; ten classes if several do."""
    for classes in (10, *range(1, 1001)) if known else ():
        found = {_inputs(_sizes(hidden), count, classes) for hidden, count in known}
        if len(found) == 1 and (inputs := found.pop()):
            return inputs, classes
    return None, None


def _inputs(hidden, parameters, classes):
    later = sum((a + 1) * b for a, b in pairwise([*hidden, classes]))
    inputs, rest = divmod(parameters - later - hidden[0], hidden[0])
    return inputs if rest == 0 and inputs > 0 else None


def _recipe(connection, settings, kind, hidden):
    """The id of a recipe of the paper's, stored now if it was not."""
    name, value = _recipes(settings, hidden)[kind]
    found = {"fingerprint": _fingerprint(value), "name": name, "settings": json.dumps(value)}
    connection.execute(
        sa.text(
            "INSERT OR IGNORE INTO recipe (fingerprint, name, settings) VALUES (:fingerprint, :name, :settings)"
        ),
        found,
    )
    query = sa.text("SELECT id FROM recipe WHERE fingerprint = :fingerprint")
    return connection.execute(query, {"fingerprint": found["fingerprint"]}).scalar_one()


def _recipes(p, hidden):
    """The paper's recipes under a protocol's settings, by kind: name, and settings as ltsm 0.2 writes them."""
    initial = {
        "hidden": hidden,
        "start": {"type": "Random", "stream": ["initial"]},
        "iterations": p["initial_iterations"],
    }
    values = {"type": "Weights", "of": _fingerprint(initial), "at": "initial"}
    baseline = {
        "hidden": hidden,
        "start": values,
        "iterations": {"type": "BestOf", "of": _fingerprint(initial)},
    }
    masking = {
        "type": "Masking",
        "criterion": "sign",
        "before": values,
        "after": {"type": "Weights", "of": _fingerprint(baseline)},
        "amounts": _thresholds(p),
        "choose": [p["select_min"], p["select_max"]],
    }
    if p["mask"] != "all":
        masking["covers"] = p["mask"]
    supermask = {"hidden": hidden, "start": values, "mask": masking, "trains": "nothing"}
    ticket = {
        "hidden": hidden,
        "start": values,
        "mask": {"type": "Mask", "of": _fingerprint(supermask)},
        "iterations": p["iterations"],
    }
    dense = {
        "hidden": hidden,
        "start": {"type": "Random", "stream": ["hyperop", *hidden]},
        "iterations": p["iterations"],
    }
    return {
        "initial": ("initial training", initial),
        "baseline": ("baseline", baseline),
        "supermask": ("supermask", supermask),
        "ticket": ("ticket", ticket),
        "hyperop": (f"hyperop ({', '.join(map(str, hidden))})", dense),
    }


def _thresholds(p):
    low, step = p["threshold_min"], p["threshold_step"]
    count = int((p["threshold_max"] - low) / step + 1e-9) + 1
    return [round(low + i * step, 12) + 0.0 for i in range(count)]


def _fingerprint(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _make_tables():
    op.create_table(
        "recipe",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recipe"),
        sa.UniqueConstraint("fingerprint", name="uq_recipe_fingerprint"),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("protocol_id", sa.Integer, nullable=False),
        sa.Column("recipe_id", sa.Integer, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("hidden", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("iterations", sa.Integer),
        sa.Column("iteration", sa.Integer, nullable=False),
        sa.Column("best_iteration", sa.Integer),
        sa.Column("inputs", sa.Integer),
        sa.Column("classes", sa.Integer),
        sa.Column("parameters", sa.Integer),
        sa.Column("relative_size", sa.Double),
        sa.Column("device", sa.String),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("started_at", sa.DateTime),
        sa.Column("finished_at", sa.DateTime),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.Column("error", sa.String),
        sa.Column("provenance", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sa.ForeignKeyConstraint(["protocol_id"], ["protocol.id"], name="fk_run_protocol_id_protocol"),
        sa.ForeignKeyConstraint(["recipe_id"], ["recipe.id"], name="fk_run_recipe_id_recipe"),
        sa.UniqueConstraint("protocol_id", "seed", "recipe_id", name="uq_run_protocol_id"),
        sa.CheckConstraint(
            "state IN ('pending', 'running', 'interrupted', 'done', 'diverged', 'failed')",
            name="ck_run_state",
        ),
        sa.CheckConstraint("iteration BETWEEN 0 AND iterations", name="ck_run_iteration"),
    )
    op.create_table(
        "file",
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("iteration", sa.Integer, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "role", "iteration", name="pk_file"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_file_run_id_run", ondelete="CASCADE"),
    )
    op.create_table(
        "need",
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("needs_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "role", name="pk_need"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_need_run_id_run", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["needs_id"], ["run.id"], name="fk_need_needs_id_run", ondelete="CASCADE"),
    )
    op.create_index("ix_need_needs_id", "need", ["needs_id"])
    op.create_table(
        "metric",
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("iteration", sa.Integer, nullable=False),
        sa.Column("train_loss", sa.Double),
        sa.Column("val_loss", sa.Double),
        sa.Column("val_accuracy", sa.Double),
        sa.Column("test_loss", sa.Double),
        sa.Column("test_accuracy", sa.Double),
        sa.Column("density", sa.Double),
        sa.Column("sampled_loss", sa.Double),
        sa.Column("sampled_accuracy", sa.Double),
        sa.Column("sampled_test_accuracy", sa.Double),
        sa.PrimaryKeyConstraint("run_id", "iteration", name="pk_metric"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_metric_run_id_run", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mask",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("amount", sa.Double, nullable=False),
        sa.Column("amount_by", sa.String, nullable=False),
        sa.Column("relative_size", sa.Double, nullable=False),
        sa.Column("layer_sizes", sa.JSON, nullable=False),
        sa.Column("val_loss", sa.Double),
        sa.Column("val_accuracy", sa.Double, nullable=False),
        sa.Column("test_loss", sa.Double),
        sa.Column("test_accuracy", sa.Double),
        sa.Column("selected", sa.Boolean, nullable=False),
        sa.Column("probabilities", sa.JSON),
        sa.Column("bits", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mask"),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_mask_run_id_run", ondelete="CASCADE"),
        sa.UniqueConstraint("run_id", "amount", name="uq_mask_run_id"),
    )
