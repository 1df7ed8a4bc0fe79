# Everything starts here: `make` lists what there is. Needs Python 3.11+ with venv, make, git.

PYTHON ?= $(shell for candidate in python3 python3.13 python3.12 python3.11; do \
	if $$candidate -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null; then echo $$candidate; break; fi; done)
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --disable-pip-version-check --no-input
AZURITE := .local/azurite/installed
INSTANCES ?= 1
TEST_FLAGS ?= -n 2 --dist worksteal

.DELETE_ON_ERROR:
.PHONY: help demo run test test-long cover check bench mutants soak clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

demo: $(AZURITE) ## run the main job, step by step, on the local stack
	@$(PY) -m local demo

run: $(AZURITE) ## start the local stack and leave it up (INSTANCES=2 for two hosts)
	@$(PY) -m local run --instances $(INSTANCES)

test: $(AZURITE) $(VENV)/dev ## run the tests; some take a sample
	$(PY) -m pytest $(TEST_FLAGS) -m "not long"

test-long: $(AZURITE) $(VENV)/dev ## run all sizes of the sampled tests: crashes, kills, orders, examples: two hours
	JIT_LONG=1 $(PY) -m pytest $(TEST_FLAGS) -m "long or scaled"

cover: $(AZURITE) $(VENV)/dev ## the same with branch coverage, which must reach 95 %: slower
	$(PY) -m pytest $(TEST_FLAGS) -m "not long" --cov --cov-report=term:skip-covered

check: $(VENV)/dev ## lint, format check, type check, spelling
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy .
	$(VENV)/bin/codespell

bench: $(AZURITE) ## print the benchmarks' figures, one JSON object a line
	@$(PY) -m bench

mutants: $(AZURITE) $(VENV)/dev ## plant known bugs in a copy, one by one: each must be caught
	@$(PY) -m tests.mutants

soak: $(VENV)/dev ## walk at random over everything at once (JIT_SOAK_MINUTES=10, JIT_SOAK_SEED)
	@$(PY) -m tests.machine.soak

clean: ## remove everything that make has made
	rm -rf $(VENV) .local .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# Stamps: a second run finds them, does nothing and needs no network.

$(PY):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (PYTHON=...)"; exit 1; }
	@echo "creating $(VENV) with $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: requirements.txt requirements-local.txt constraints.txt | $(PY)
	$(PIP) -r requirements.txt -r requirements-local.txt
	@touch $@

$(VENV)/dev: requirements-dev.txt $(VENV)/runtime
	$(PIP) -r requirements-dev.txt
	@touch $@

$(AZURITE): local/package-lock.json local/package.json local/.npmrc requirements-node.txt $(VENV)/runtime
	@$(PY) -m local.azurite
	@touch $@
