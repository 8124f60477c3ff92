# Fairlabel. The two commands that matter: make run, make test.

PORT ?= 8000
export PORT

BIN := .venv/bin
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help run test check bench lint shots clean lock messages notices setup-run setup-dev front-end-checks

help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup-run ## Start everything with demonstration data; Ctrl-C stops it. PORT=8001 chooses another port.
	@exec $(BIN)/fairlabel up --demo

test: check ## Run every check and every test; installs Chromium for the browser tests if it may.
	@$(BIN)/python tests/browser_finder.py --install
	@echo "== tests"
	@$(BIN)/pytest -n 3 --dist loadfile $(PYTEST)

check: setup-dev ## Lint, types, import contracts and the front end's checks, without the tests.
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== mypy"
	@$(BIN)/mypy
	@echo "== import contracts"
	@$(BIN)/lint-imports
	@$(MAKE) front-end-checks

lint: setup-dev ## Put the code in order: format it and mend what a program can mend.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup-dev ## Measure against the yardsticks.
	@$(BIN)/python tests/bench/run.py

shots: setup-dev ## Take a picture of each page at 1280×800 and 360×740.
	@$(BIN)/python tests/browser_finder.py --install
	@$(BIN)/python tests/shots.py

lock: setup-dev ## Choose the newest allowed packages and write both lock files.
	@$(BIN)/uv pip compile $(LOCK_OPTIONS) pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile $(LOCK_OPTIONS) --extra dev pyproject.toml -o requirements-dev.lock
LOCK_OPTIONS := --quiet --upgrade --universal --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links

messages: setup-dev ## Collect the texts to translate.
	@$(BIN)/python deploy/catalogue.py

notices: setup-dev ## Write the third-party notices of what runs.
	@$(BIN)/python deploy/notices.py

clean: ## Remove what was installed and built here; the data stays.
	@rm -rf .venv annotate/frontend/node_modules annotate/static/dist .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache

setup-run:
	@deploy/setup.sh run

setup-dev:
	@deploy/setup.sh dev

front-end-checks:
	@if [ -f annotate/frontend/package.json ]; then \
		echo "== front end"; \
		npm --prefix annotate/frontend run --if-present check; \
		npm --prefix annotate/frontend run --if-present test; \
	fi
