# Everything a newcomer and a maintainer run. GNU make 3.81 (macOS) is enough.
SHELL := /bin/sh
PYTHON ?=
ARGS ?=
KAFKA_HOME ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: help demo test lint bench bench-classify soak kafka wheel lock wheels clean
.DEFAULT_GOAL := help

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: .venv/installed ## Show the whole of Tocsin on a small invented world; ends by itself (ARGS="--seed 7").
	@$(BIN)/tocsin demo $(ARGS)

test: .venv/dev ## Run every test, with coverage (ARGS="tests/ingest -x").
	@$(BIN)/pytest --cov --cov-report=term:skip-covered $(ARGS)

lint: .venv/dev ## Check style, types and who imports whom.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: .venv/dev ## Measure: the log, the detector, memory when idle, delay under load.
	@$(BIN)/python -m tests.bench.log
	@$(BIN)/python -m tests.bench.spikes
	@$(BIN)/python -m tests.bench.run

bench-classify: .venv/dev ## Measure model, relevance, near copies (TOCSIN_SENTIMENT=folder with train and eval).
	@$(BIN)/python -m tests.bench.classify
	@$(BIN)/python -m tests.bench.relevance
	@$(BIN)/python -m tests.bench.stories

soak: .venv/dev ## Kill processes a hundred times and look for what is lost.
	@$(BIN)/pytest -m soak $(ARGS)

kafka: .venv/dev ## Start an Apache Kafka from KAFKA_HOME on free local ports; Ctrl-C ends it.
	@if [ -z "$(KAFKA_HOME)" ]; then \
	  echo "KAFKA_HOME is not set. Get the binary of Apache Kafka 4 (it needs Java 17 or newer) from" >&2; \
	  echo "https://kafka.apache.org/downloads, unpack it, then: make kafka KAFKA_HOME=/path/to/kafka_2.13-4.1.0" >&2; \
	  exit 2; \
	fi
	@KAFKA_HOME="$(KAFKA_HOME)" $(BIN)/python -m tests.kafka_server

wheel: .venv/dev ## Build the wheel and the source archive into dist/.
	@$(BIN)/python -m build -q
	@ls -l dist

lock: ## Pin today's newest versions that fit pyproject.toml in the two lock files.
	@$(FIND_PYTHON); $$python tests/deploy/lock.py

wheels: .venv/dev ## Check that the locks resolve to wheels on every promised Python and platform.
	@$(BIN)/python tests/deploy/lock_wheels.py

clean: ## Remove .venv, what was built, and caches.
	@rm -rf .venv dist build .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The first Python that is new enough: PYTHON if it is given, else python3, else a versioned one.
FIND_PYTHON = python=; for one in $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	  if $$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$one; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Tocsin needs Python 3.11 or newer. Install one, then: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 2; \
	fi; \
	if ! $$python -c 'import venv, ensurepip' 2>/dev/null; then \
	  version=`$$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'`; \
	  echo "This Python cannot make a virtual environment. On Debian or Ubuntu: sudo apt install python$$version-venv" >&2; \
	  exit 2; \
	fi

.venv/bin/python:
	@$(FIND_PYTHON); echo "Making .venv with $$python"; $$python -m venv .venv || { rm -rf .venv; exit 1; }

.venv/installed: .venv/bin/python requirements.lock pyproject.toml
	@echo "Installing Tocsin and what it needs into .venv"
	@$(PIP) install --only-binary=:all: -r requirements.lock
	@$(PIP) install --no-deps -e .
	@touch $@

.venv/dev: .venv/installed requirements-dev.lock
	@echo "Installing what the tests need into .venv"
	@$(PIP) install --only-binary=:all: -r requirements-dev.lock
	@touch $@
