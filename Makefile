# `make repro` runs the whole pipeline, `make test` every test; each builds the environment first where it is missing.
# Needed: Python 3.11 or newer, git, make.

# How a recipe starts must not depend on what the shell around it has set.
SHELL := /bin/sh
unexport PYTHONDONTWRITEBYTECODE
unexport VIRTUAL_ENV
unexport PYTHONPATH
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export UV_SYSTEM_CERTS := 1

PYTHON ?= python3
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)

.DEFAULT_GOAL := help
.PHONY: help repro test docs lint format mend lock bench fuzz simulate chaos networks clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##/\1\t/p' $(MAKEFILE_LIST)

# Stamped last, so that an interrupted installation is done again.
.venv/installed: requirements.lock pyproject.toml
	@echo "make: building .venv from requirements.lock (about 6 GB, most of it PyTorch)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "make: Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12")'
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes --compile-bytecode requirements.lock
	@.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

repro: .venv/installed mend  ## run the pipeline: only the stages that something changed for
	@dvc repro
	@echo "make: the report is reports/site/index.html, its text reports/summary.md. It begins:"
	@sed -n '/^- /p' reports/summary.md | head -3
	@wheretolook moved

test: .venv/installed  ## every test
	@echo "make: running every test (six to seven minutes on two cores)"
	@OMP_NUM_THREADS=1 python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

docs: .venv/installed  ## write docs/parameters.md and the tables of docs/results.md from the code
	@python tools/generate_docs.py

lint: .venv/installed  ## ruff, mypy, and the GitHub workflows
	@ruff check .
	@ruff format --check .
	@mypy
	@check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@python .ci/actionlint.py

format: .venv/installed  ## let ruff write
	@ruff check --fix .
	@ruff format .

# DVC writes dvc.lock in place; a kill can leave it empty or cut, and then every command of DVC fails.
mend: .venv/installed  ## put back the last whole dvc.lock, where a kill has left a broken one
	@python -m wheretolook.cli.mend_command

lock: .venv/installed  ## pin requirements.in anew, with hashes and without a host's name
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate requirements.in -o requirements.lock

bench: .venv/installed  ## measure the map engine against its peers
	@python benchmarks/engine.py

fuzz: .venv/installed  ## change archives, images and model files at random, and load them (minutes)
	@python benchmarks/fuzz.py

simulate: .venv/installed  ## hold the statistics against simulations whose truth is known (some minutes)
	@python benchmarks/simulate.py

networks: .venv/installed  ## try the smallest network of each module of torchvision and, where installed, timm (half an hour)
	@python benchmarks/networks.py

chaos: .venv/installed  ## kill the pipeline a hundred times at random, start two at once, and compare every byte (a quarter of an hour)
	@python benchmarks/chaos.py

MADE := data models reports/site .cache test-output

clean:  ## say what it frees, then remove what the pipeline made (not DVC's cache, not the environment)
	@for made in $(MADE); do if [ -e $$made ]; then du -sh $$made; fi; done
	rm -rf $(MADE)
