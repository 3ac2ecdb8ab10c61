# make demo: set everything up and run the main job.  make test: set everything up and pass the tests.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
SEEDS ?= 1
OUT ?= runs/demo
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test install lint bench clean

demo: install
	$(BIN)/codeenv demo --seeds $(SEEDS) --out $(OUT)

test: install
	$(BIN)/python -m pytest

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "codeenv needs Python 3.11 or newer; install it, or name it: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# agents/ is imported as codeenv.agents: types and layers are checked on a copy that is laid out as it is installed.
lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf .build/tree && mkdir -p .build/tree && cp -r codeenv .build/tree/ && cp -r agents .build/tree/codeenv/agents
	cd .build/tree && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir ../mypy -p codeenv
	cd .build/tree && PYTHONPATH=. $(CURDIR)/$(BIN)/lint-imports --config $(CURDIR)/pyproject.toml --no-cache

bench: install
	$(BIN)/python benchmarks/executors.py --quick
	$(BIN)/python benchmarks/rollout.py --quick

clean:
	rm -rf .venv .build build dist *.egg-info
