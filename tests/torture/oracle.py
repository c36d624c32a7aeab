"""What must be so of a store, whatever happened to the program that wrote it."""

from small import results

from ltsm.errors import StoreError
from ltsm.store import artifacts, read, schema


def check(path):
    """Seals whole, no row without its file, no record missing, doubled or past its run's iteration."""
    store = schema.open_for_reading(path)
    assert read.faults(store) == []
    runs = read.runs(store)
    metrics = read.metrics(store, [run.id for run in runs])
    for run in runs:
        for file in run.files:
            artifacts.read(store.folder, file.artifact)
        iterations = [metric.iteration for metric in metrics.get(run.id, [])]
        if iterations:
            assert iterations == sorted({*range(0, run.iteration, 10), run.iteration})
    store.close()


def check_if_any(path):
    """The same of a store that may not have come into being yet."""
    try:
        check(path)
    except StoreError as error:
        if "no store" not in error.message and "is empty" not in error.message:
            raise


def finish(program, undisturbed):
    """The same command once more, left alone, ends with the same bits."""
    last = program.sweep()
    assert last.ended() == 0, last.words
    check(program.store)
    assert results(program.store) == undisturbed


def refused(run, *codes):
    """The run ended with a sentence and one of these exit codes, and with no traceback."""
    code = run.ended()
    assert "Traceback" not in run.words, run.words
    assert code in codes, (code, run.words)
    assert "error: " in run.words, run.words
    return run.words
