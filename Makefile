# Everything a person types: make demo, make serve, make test. The environment .venv is made at the first use.

SHELL := /bin/sh
VENV ?= .venv
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	if "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; \
	then command -v "$$p"; break; fi; done)
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST ?= $(BIN)/python -m pytest
PYTEST_ARGS ?=
SERVE_ARGS ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install

.PHONY: help demo serve test test-postgres proof lint bench docs lock
.DEFAULT_GOAL := help

help:
	@echo 'make demo           start a server, provide two documents, find and retrieve them, be refused, stop'
	@echo 'make serve          serve from config/demo.toml until interrupted (CONFIG=FILE for another one)'
	@echo 'make test           the whole test suite, no service needed (PYTEST_ARGS=... for a part)'
	@echo 'make test-postgres  the tests of the store on a private PostgreSQL (Debian package postgresql)'
	@echo 'make proof          the long proofs with their full counts'
	@echo 'make lint           format, lint, types, import contracts'
	@echo 'make bench          the load driver and the ratios'
	@echo 'make docs           write the generated pages again'
	@echo 'make lock           resolve the dependencies again (needs python3.11, 3.12 and 3.13)'

$(READY): requirements.lock pyproject.toml
	@test -n '$(PYTHON)' || { echo 'Liasse needs Python 3.11, 3.12 or 3.13: none is on the PATH (or name one: make PYTHON=...)' >&2; exit 1; }
	@echo 'Making the environment $(VENV) with $(PYTHON): once, about a minute'
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { $(PYTHON) -m venv --without-pip $(VENV) \
		&& $(PYTHON) -m pip --python $(BIN)/python install pip; } \
		|| { echo 'no environment could be made: install the packages python3-venv or python3-pip' >&2; exit 1; }
	@$(PIP) --require-hashes --requirement requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)
	@$(BIN)/liasse demo

CONFIG ?= config/demo.toml
serve: $(READY)
	@test '$(CONFIG)' != config/demo.toml || $(BIN)/liasse demo --prepare $(CONFIG)
	@exec $(BIN)/liasse serve --config $(CONFIG) $(SERVE_ARGS)

test: $(READY)
	@$(PYTEST) $(PYTEST_ARGS)

test-postgres: $(READY)
	@$(BIN)/python -m tests.start_postgres $(PYTEST) -m postgres $(PYTEST_ARGS)

proof: $(READY)
	@if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then start='-m tests.start_postgres $(BIN)/python'; \
	else echo 'no PostgreSQL on this machine: the proofs run on SQLite only' >&2; start=''; fi; \
	LIASSE_PROOF=1 $(BIN)/python $$start -m pytest -m proof --timeout 7200 -rs --durations=20 $(PYTEST_ARGS)

lint: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check --no-cache .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY)
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

docs: $(READY)
	@$(BIN)/python -m conformance.docs
	@$(BIN)/python -m xds_metadata.docs
	@$(BIN)/python -m xua.docs
	@$(BIN)/python -m dmp.docs

lock: $(READY)
	@$(BIN)/python tools/lock.py
