# make lists the targets. They work in an environment of their own, .venv: nothing need be activated.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help mnist test test-thorough bench lint format clean

help:
	@echo "make mnist          train the classic MNIST network on the real images (under a minute)"
	@echo "make test           run the tests"
	@echo "make test-thorough  run the slow tests too, and more examples of each property"
	@echo "make bench          measure, beside PyTorch, JAX and others where they are installed in $(VENV)"
	@echo "make lint           check style, types and the order of imports"
	@echo "make format         format the code"
	@echo "make clean          remove the environment and everything built"
	@echo
	@echo "PYTHON=...          the Python 3.11 or newer to make the environment with (python3)"
	@echo "ARGS=...            more arguments: make mnist ARGS='--epochs 2', make bench ARGS=--quick"

# An empty file says that a step is done, so that a second call does not repeat it. An environment that is
# there already, made by hand, serves; what is left of one that failed, or is gone stale, is made anew.
$(VENV)/created:
	@python=$(PY); "$$python" -c 'import pip; $(NEW_ENOUGH)' 2>/dev/null || python="$(PYTHON)"; \
	"$$python" -c '$(NEW_ENOUGH)' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, and $$python is older or missing." \
	    "Name one, as in  make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }; \
	test "$$python" = $(PY) || { \
	  "$$python" -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "$$python has no venv module: install it (on Debian and Ubuntu with  apt install python3-venv)" \
	      "and call make again" >&2; exit 1; }; \
	  "$$python" -m venv --clear $(VENV); }
	@touch $@

$(VENV)/for-mnist: $(VENV)/created pyproject.toml
	@echo "installing what the example needs into $(VENV)" >&2
	@$(INSTALL) -e '.[mnist]'
	@touch $@

$(VENV)/for-tests: $(VENV)/created pyproject.toml
	@echo "installing what the tests need into $(VENV)" >&2
	@$(INSTALL) -e '.[mnist,test]'
	@touch $(VENV)/for-mnist $@

mnist: $(VENV)/for-mnist
	@$(PY) -m examples.mnist $(ARGS)

test: $(VENV)/for-tests
	@$(PY) -m pytest -n 2 --cov $(ARGS)

test-thorough: $(VENV)/for-tests
	@HYPOTHESIS_PROFILE=thorough $(PY) -m pytest -n 2 -m "slow or not slow" $(ARGS)

bench: $(VENV)/for-mnist
	@$(PY) -m benchmarks $(ARGS)

lint: $(VENV)/for-tests
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m pyright
	@$(VENV)/bin/lint-imports

format: $(VENV)/for-tests
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

clean:
	@rm -rf $(VENV) build dist .coverage* .hypothesis .import_linter_cache .pytest_cache .ruff_cache
