# Each target does its own set-up: a fresh machine needs Python 3.11 or newer, make and the package index. What is
# installed is compiled when it is first imported, most of it never, and kept: else each start compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
.DEFAULT_GOAL = help
.PHONY: help run test lint format bench bench-detection torture lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

$(VENV)/run.stamp: requirements/run.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/bench.stamp: requirements/bench.txt $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

run: $(VENV)/run.stamp  ## the daemon with a simulated shop beside it
	$(BIN)/forestall demo $(ARGS)

test: $(VENV)/dev.stamp  ## all tests
	$(BIN)/forestall doctor --warm
	$(BIN)/python -m pytest -n 2 $(ARGS)

lint: $(VENV)/dev.stamp  ## style and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

format: $(VENV)/dev.stamp  ## rewrite to the house style
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: $(VENV)/bench.stamp  ## speed, one table beside the peers
	$(BIN)/python -m benchmarks.speed $(ARGS)

bench-detection: $(VENV)/bench.stamp  ## detection quality, the tables of docs/detection.md
	$(BIN)/python -m benchmarks.detection $(ARGS)

torture: $(VENV)/dev.stamp  ## kill -9 the daemon and the store, long version
	$(BIN)/python -m benchmarks.torture $(ARGS)

lock:  ## pin requirements/*.in again, with hashes
	$(PYTHON) -m venv $(VENV)-lock && $(VENV)-lock/bin/pip install --quiet pip-tools
	cd requirements && for f in run dev bench; do ../$(VENV)-lock/bin/pip-compile --quiet --upgrade --generate-hashes \
	  --no-emit-index-url --no-emit-trusted-host --strip-extras --allow-unsafe --output-file $$f.txt $$f.in; done
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
