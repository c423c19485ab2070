# `make book` and `make test` set up all they need in .venv; nothing but Python 3.11 or newer has to be there.
# README.md gives the same as plain commands, for machines without make.

.DEFAULT_GOAL := help
.PHONY: help book test lab execute evidence bench ledger mutants lint format clean

PYTHONS := python3 python3.13 python3.12 python3.11 python
BIN := .venv/bin
READY := .venv/.ready
NB ?= $(sort $(basename $(notdir $(wildcard notebooks/*.ipynb))))
CHAPTER ?= 07

help: ## list the targets
	@echo "Usage: make TARGET"
	@grep -E '^[a-z]+:.*## ' Makefile | awk -F ':.*## ' '{ printf "  %-10s %s\n", $$1, $$2 }'

book: $(READY) ## build the pages from the committed outputs (any warning is an error)
	@$(BIN)/jupyter-book build . -n -W --keep-going || { rm -rf _build/.doctrees; exit 1; }
	@echo "The book: open _build/html/index.html in a browser."

test: $(READY) ## all tests, and every chapter re-executed and compared with its committed outputs
	@$(BIN)/python -m pytest -n logical --dist loadfile

lab: $(READY) ## open JupyterLab on the chapters
	@$(BIN)/jupyter lab notebooks

execute: $(READY) ## re-run the chapters in place, in order; one of them: make execute NB=07_classification
	@$(BIN)/python -m tools.execute $(NB)

evidence: $(READY) ## do what is missing of a chapter's runs and write results/ (CHAPTER=07; on a Dask cluster: SCHEDULER=tcp://host:8786)
	@$(BIN)/python -m evidence.run $(CHAPTER) $(if $(SCHEDULER),--scheduler $(SCHEDULER))

bench: $(READY) ## measure speed and memory again, on a machine that does nothing else, and write results/
	@$(BIN)/python -m evidence.bench.mha_speed
	@$(BIN)/python -m evidence.bench.field_guide

ledger: $(READY) ## write book/ledger.md: what carries and what checks each equation, from book/ledger.toml
	@$(BIN)/python -m tools.ledger

mutants: $(READY) ## break the package in all small ways, see which the tests miss, write results/mutants.json and its page
	@nice -n 10 $(BIN)/python -m tools.mutants

lint: $(READY) ## ruff over the code, the tests and the notebooks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(READY) ## let ruff put the layout right
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove the built book and caches; .venv stays
	@rm -rf _build mutants .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

$(READY): requirements.txt constraints.txt book/requirements.txt pyproject.toml
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  for python in "$(PYTHON)" $(PYTHONS); do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "This book needs Python 3.11 or newer: install it, or name one with make $(or $(MAKECMDGOALS),book) PYTHON=/its/path." >&2; exit 1; \
	  fi; \
	  if ! "$$found" -m venv .venv; then \
	    echo "$$found cannot make a virtual environment: install its venv module (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; \
	  fi; \
	fi
	@echo "Installing what requirements.txt lists into .venv (the first time takes minutes)."
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@touch $(READY)
