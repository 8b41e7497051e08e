# `make demo` and `make check` work from a fresh clone on a machine with Python 3.11+ and make.
PYTHON ?= python3
# Users with CUDA bring their own: `make setup TORCH=torch`.
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo check lint types test slow clean

setup: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[track,speech,dev]"
	touch $(STAMP)

demo: setup
	$(BIN)/talkface demo --out demo

check: setup lint types test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

test: setup
	$(BIN)/pytest -m "not slow and not gpu" -n 2 --dist loadgroup --durations=10

slow: setup
	$(BIN)/pytest -m slow

clean:
	rm -rf $(VENV) demo
