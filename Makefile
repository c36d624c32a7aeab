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

# Small changes of the program, one by one; `.venv/bin/mutmut results` names those that no test noticed. All of them take
# some 30 hours of processor time, one module minutes: make mutants MUTANTS='ltsm.store.seal.*'
# Processes that tests start find the changed program by PYTHONPATH, whose folder has to be there from the start.
mutants: .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,mutants]'
	mkdir -p mutants
	PYTHONPATH=$(CURDIR)/mutants $(BIN)/mutmut run $(MUTANTS)

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
