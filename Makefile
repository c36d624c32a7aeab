# make sweep · make test · make check: each builds .venv on a fresh machine, then does its job.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: sweep test check format torture mutants constraints clean

sweep: .venv/ready
	$(BIN)/ltsm sweep --dataset auto
	$(BIN)/ltsm report

test: .venv/ready
	$(BIN)/pytest -n auto -m "not torture"

torture: .venv/ready
	$(BIN)/pytest -n auto -m torture -o timeout=3600 tests/torture

# Small changes of the program, one by one: a thousand at random, in an hour or two (SAMPLE=100 SEED=2 draws others), or
# those of one module: make mutants MUTANTS='ltsm.store.seal.*'. `.venv/bin/mutmut results` names those that no test
# noticed. Processes that tests start find the changed program by PYTHONPATH, whose folders have to be there from the start.
SAMPLE ?= 1000
SEED ?= 1
mutants: MUTMUT := PYTHONPATH=$(CURDIR)/mutants:$(CURDIR)/tests $(BIN)/mutmut run
mutants: .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,mutants]'
	mkdir -p mutants
	$(if $(MUTANTS),,$(MUTMUT) 'ltsm.core.remembered.*')
	$(MUTMUT) $(or $(MUTANTS),$$($(BIN)/python tests/noticing.py $(SAMPLE) $(SEED)))

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# What CI tests with, from what is installed now.
constraints: .venv/ready
	{ echo "# What CI tests with: pip installs exactly these. Made by: make constraints"; \
	  $(BIN)/pip freeze --exclude-editable | sed 's/+cpu//'; } > constraints.txt

clean:
	rm -rf .venv mutants .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
