# Needs git, make and Python >= 3.11; everything else is installed into .venv.

# A name on PATH proves nothing (it may be a version manager's stub), so each candidate is run.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; \
	done)

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt
TYPED := tasker_temporal $(wildcard tests examples workers benchmarks docs)

.PHONY: help demo test check format soak bench clean
.DEFAULT_GOAL := help

help:  ## Show the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.dev  ## Run a task on an embedded server, and watch it.
	$(BIN)/tasker demo

test: check  ## Run all checks and all tests, and hold the bound on the worker's CPU time.
	$(BIN)/pytest -n 3 --dist loadfile
	$(BIN)/python -m benchmarks.overhead --quick

check: $(VENV)/.test  ## Format, lint, types, layers.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports
	$(if $(wildcard tests/typing),$(BIN)/basedpyright tests/typing)

format: $(VENV)/.test  ## Format, and mend what can be mended.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

soak: $(VENV)/.test  ## Run the long proofs, as a kill of the worker at every event of a history.
	$(BIN)/pytest -m long

bench: $(VENV)/.dev  ## Measure the core, and the library against workflows written by hand.
	$(BIN)/python -m benchmarks.core
	$(BIN)/python -m benchmarks.overhead

clean:  ## Remove the environment, caches and builds.
	rm -rf $(VENV) build dist htmlcov .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each set of extras, so that a second call installs nothing. The larger set holds the smaller.
$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[dev]'
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[dev,test]'
	@touch $(VENV)/.dev $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo >&2 "No Python >= 3.11 (with venv and pip) was found. Install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
