# The front door. Every target makes .venv when it is absent and reuses it after.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
OUT    ?= demo

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format types check bench notebooks docs clean

help:
	@echo "make setup | demo | test | lint | types | check | bench | notebooks | docs | format | clean"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	-$(BIN)/python -m pip install --quiet -c constraints.txt --no-deps sktime  # for the data in its wheel; tests skip without
	$(BIN)/python datasets/check_install.py constraints.txt
	touch $@

demo: setup
	$(BIN)/sciml demo --out $(OUT) --overwrite

test: setup
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup
	$(BIN)/mypy

notebooks: setup
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --nbmake --nbmake-timeout=300 docs/gallery docs/programme

check: lint types test docs notebooks

bench: setup
	for f in benchmarks/bench_*.py; do $(BIN)/python $$f || exit 1; done

docs: setup
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache docs/_build docs/reference/generated demo
