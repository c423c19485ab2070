# `make book` and `make test` set up all they need in .venv; nothing but Python (3.11.5 to 3.14) has to be there.
# README.md gives the same as plain commands, for machines without make.

.DEFAULT_GOAL := help
.PHONY: help book test lab execute evidence bench gpu ledger found mutants lint format clean

# Tried in this order: the committed outputs come from 3.11. The limits are those of pyproject.toml.
PYTHONS := python3.11 python3.12 python3.13 python3.14 python3 python
SUPPORTED := (3, 11, 5) <= sys.version_info[:3] != (3, 14, 1) and sys.version_info < (3, 15)
CHECK := -c 'import sys; sys.exit(not ($(SUPPORTED)))' >/dev/null 2>&1
BIN := .venv/bin

# .venv/.ready says for which folder and Python .venv was set up. In a copy, after a move or under another Python that is
# not so any more: what is in .venv names the old folder, or is dead.
READY := .venv/.ready
NOW := $(BIN)/python -c 'import os, sys; print(os.getcwd(), "Python %d.%d" % sys.version_info[:2])' 2>/dev/null
ifneq ($(shell $(NOW)),$(shell cat $(READY) 2>/dev/null))
.PHONY: $(READY)
endif

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
	@$(BIN)/python -m evidence.bench.cost
	@$(BIN)/python -m evidence.bench.simplify
	@$(BIN)/python -m evidence.scale.measure
	@$(BIN)/python -m evidence.bench.sequence

gpu: $(READY) ## measure what needs an accelerator, some minutes with CUDA and Triton (without, it says so and fails), and write results/gpu.json
	@$(BIN)/python -m evidence.bench.gpu

ledger: $(READY) ## write book/ledger.md: what carries and what checks each equation, from book/ledger.toml
	@$(BIN)/python -m tools.ledger

found: $(READY) ## write book/what_we_found.md: what results/ says to each claim of the article, from book/what_we_found.toml
	@$(BIN)/python -m tools.what_we_found

mutants: $(READY) ## break what has changed in all small ways, see which the tests miss, write book/mutants.json and its page
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
	@if [ -e $(READY) ] && [ "$$($(NOW))" != "$$(cat $(READY))" ] || ! $(BIN)/python $(CHECK); then \
	  if [ -e $(READY) ]; then echo ".venv was made for another folder or Python: setting it up anew."; fi; \
	  rm -rf .venv; \
	  for python in "$(PYTHON)" $(PYTHONS); do \
	    if "$$python" $(CHECK); then found=$$python; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "This book needs Python 3.11.5 to 3.14 (but not 3.14.1): install it, or name one with make $(or $(MAKECMDGOALS),book) PYTHON=/its/path." >&2; exit 1; \
	  fi; \
	  if ! "$$found" -m venv .venv; then \
	    rm -rf .venv; \
	    echo "$$found cannot make a virtual environment: install its venv module (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; \
	  fi; \
	fi
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip
	@echo "Installing what requirements.txt lists into .venv (the first time takes minutes)."
	@$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@$(NOW) > $(READY)
