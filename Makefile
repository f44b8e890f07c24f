# make lists the targets. They work in an environment of their own, .venv: nothing need be activated.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := "$(BIN)/python"

.DEFAULT_GOAL := help
.PHONY: help mnist test test-thorough lint format clean

help:
	@echo "make mnist          train the classic MNIST network (under a minute)"
	@echo "make test           run the tests"
	@echo "make test-thorough  run the slow tests too, and more examples of each property"
	@echo "make lint           check style and types"
	@echo "make format         format the code"
	@echo "make clean          remove the environment and everything built"

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: name one with  make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: install it (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/for-mnist: $(VENV)/created pyproject.toml
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[mnist]'
	@touch $@

$(VENV)/for-tests: $(VENV)/created pyproject.toml
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[mnist,test]'
	@touch $@ $(VENV)/for-mnist

mnist: $(VENV)/for-mnist
	@$(PY) -m examples.mnist $(ARGS)

test: $(VENV)/for-tests
	@$(PY) -m pytest -n 2 --cov --cov-report=term:skip-covered $(ARGS)

test-thorough: $(VENV)/for-tests
	@HYPOTHESIS_PROFILE=thorough $(PY) -m pytest -n 2 -m "slow or not slow" $(ARGS)

lint: $(VENV)/for-tests
	@$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m pyright && "$(BIN)/lint-imports"

format: $(VENV)/for-tests
	@$(PY) -m ruff check --fix . && $(PY) -m ruff format .

clean:
	@rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis .coverage
