# The verbs of this repository; bare `make` lists them. All but the list make .venv first.

PYTHON ?= python3
PYTEST_FLAGS ?=
BIN := .venv/bin
IMAGE := .venv/proto.binpb

# Compiled modules are kept: tests and servers load them in hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test test-all check docs generate format bench soak

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv, once, and again only when the pinned requirements change
	@PYTHON="$(PYTHON)" sh .ci/setup

run: setup ## serve on SQLite with the example prices and a demo account
	@$(BIN)/python -m tollkeeper.cli.demo

test: setup ## test every rule on both databases, in four minutes; say what was skipped and why
	$(BIN)/python -m pytest -n 3 --dist worksteal -rs -m "not thorough" --ignore tests/repo $(PYTEST_FLAGS)

test-all: setup ## run every test that this machine can run, with more examples of each property
	HYPOTHESIS_PROFILE=$${HYPOTHESIS_PROFILE:-ci} $(BIN)/python -m pytest -n 2 --dist worksteal -rs $(PYTEST_FLAGS)

check: setup docs ## format, lint, types, imports, proto, generated code, documents, Dockerfile, house rules
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright
	PYTHONPATH=clients/python $(BIN)/lint-imports
	$(BIN)/python proto/generate.py --image $(IMAGE)
	$(BIN)/buf lint $(IMAGE) --config proto/buf.yaml
	$(BIN)/buf breaking $(IMAGE) --against proto/contract.binpb --config proto/buf.yaml
	$(BIN)/python proto/generate.py --check
	$(BIN)/python docs/tools/prose.py
	$(BIN)/hadolint Dockerfile
	$(BIN)/python -m pytest -rs -m "not slow" tests/repo

docs: setup ## build the documents as a site below build/site; a dead link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

generate: setup ## write code from proto/, and the pages and pictures that come from code
	$(BIN)/python proto/generate.py
	$(BIN)/python docs/tools/generate.py
	$(BIN)/python docs/tools/imports.py
	$(BIN)/python -m tests.repo.picture

format: setup ## put the code into the one format and fix what can be fixed
	$(BIN)/ruff check --fix-only --exit-zero
	$(BIN)/ruff format

bench: setup ## measure on this machine, in ratios; python -m tests.bench --help has the parts
	$(BIN)/python -m tests.bench

soak: setup ## measure the server's memory over ten million operations
	$(BIN)/python -m tests.bench --only memory --soak
