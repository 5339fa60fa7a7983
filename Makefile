# Everything a person types. Each target prepares .venv itself; a second call installs nothing.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# The peers that `bench` measures; benchmarks/peers/NAME.txt pins what each environment holds.
PEERS := trl-ppo trl
PIP := $(BIN)/python -m pip install --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help quickstart test check docs bench clean

help:  ## Show this list.
	@echo "Heedful. Usage: make TARGET [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

quickstart: $(VENV)/.run  ## Install, then train and compare SFT, PPO and PPO-ptx on this machine.
	$(BIN)/heedful quickstart

test: $(VENV)/.test  ## Install what the tests need and run them (PYTEST_ARGS="-k ppo").
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.check  ## Style, types, floors and a strict build of the documentation.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs: $(VENV)/.check  ## Serve the documentation at http://127.0.0.1:8000.
	$(BIN)/mkdocs serve

bench: $(VENV)/.run $(PEERS:%=.bench/%/.installed)  ## Ours against the peers, in environments made here (BENCH_ARGS="--quick").
	$(BIN)/heedful model get smollm2-135m-instruct
	$(BIN)/python benchmarks/speed/run.py $(BENCH_ARGS)

clean:  ## Remove .venv, .bench and what the tools left behind; runs stay.
	rm -rf $(VENV) .bench site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# An editable install leaves a stamp; pyproject.toml newer than the stamp installs again.
$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[test]'
	@touch $@ $(VENV)/.run

$(VENV)/.check: pyproject.toml | $(BIN)/python
	$(PIP) -e '.[test,check,docs]'
	@touch $@ $(VENV)/.run $(VENV)/.test

.bench/%/.installed: benchmarks/peers/%.txt | $(BIN)/python
	@rm -rf .bench/$*
	@mkdir -p .bench
	$(BIN)/python -m venv .bench/$*
	.bench/$*/bin/python -m pip install --disable-pip-version-check -r $<
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Heedful needs Python 3.11 or newer. Name one: make $(MAKECMDGOALS) PYTHON=python3.12"; \
	  exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python could not make a virtual environment; on Debian: apt install python3-venv"; \
	  exit 1; }
