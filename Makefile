# make setup    create .venv and install        make test   the gate: style, types, tests
# make demo     train, draw and measure a row   make clean  caches; never what a run wrote
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Two workers of one thread each: tests give the same numbers on a busy machine as on an idle one.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadscope

.PHONY: setup demo test test-slow style clean
.DEFAULT_GOAL := setup

setup: $(STAMP)

demo: $(STAMP)
	@$(BIN)/python -m medbench.run method=msdm

test: $(STAMP) style
	@$(PYTEST)

test-slow: $(STAMP)
	@$(PYTEST) -m slow

style: $(STAMP)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo 'Run: $(BIN)/ruff format .' >&2; exit 1; }
	@$(BIN)/mypy

$(STAMP): pyproject.toml constraints.txt
	@command -v '$(PYTHON)' > /dev/null || { echo \
	  '$(PYTHON) is not found. Name a Python of 3.11 or later: make PYTHON=/path/to/python3.11' \
	  >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "medbench needs Python 3.11 or later; $(PYTHON) is $$('$(PYTHON)' -V 2>&1). Name another:" \
	  'make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2> /dev/null || { echo \
	  '$(PYTHON) has no venv module. On Debian and Ubuntu: sudo apt install python3-venv' \
	  >&2; exit 1; }
	@echo 'Installing into $(VENV): some minutes. On Linux about 3 GB are downloaded and 7 GB' \
	  'written, since PyTorch comes with CUDA.'
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || '$(PYTHON)' -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off \
	  -c constraints.txt -e '.[dev]' | awk \
	  '/\([0-9][0-9][0-9.]* [MG]B\)/ { print "  " $$1, $$2, $$(NF-1), $$NF; fflush() } \
	   /^Installing collected/ { print "  unpacking, without further lines"; fflush() } \
	   /^Successfully/ { print "  " NF - 2 " packages installed" }'
	@touch $(STAMP)

clean:
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
	@if [ -e outputs ]; then echo "Kept: outputs/ ($$(du -sh outputs | cut -f1))." \
	  'Delete it with: rm -r outputs'; fi
	@if [ -e $(VENV) ]; then echo 'Kept: $(VENV)/. Delete it with: rm -r $(VENV)'; fi
