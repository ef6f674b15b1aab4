# Everything runs from two commands on a fresh machine: `make demo` (the main job) and `make test`.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# A second BLAS or torch thread slows small work down on a busy machine, many times over.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
# The tests compile the package with their checks in it: without bytecode on disk each worker does so at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo studio test test-slow test-peers test-gpu check docs bench recompile clean

demo: .venv/.base ## train two models on real digits, audit both, write trust-report/report.html
	$(BIN)/trustworthy demo --out trust-report

studio: .venv/.studio ## models of images in the browser, for people who do not program; prints the link
	$(BIN)/trustworthy studio

# Each worker begins with half of the tests, in order: it compiles the kernels, and makes what a file shares, once.
# COVERAGE=1 measures branch coverage too: before Python 3.12 the tracer makes the tests take half as long again.
test: .venv/.dev ## the fast tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" $(if $(COVERAGE),--cov --cov-report=term --cov-fail-under=90)

test-slow: .venv/.dev ## the tests that take longer, and properties on many examples
	$(BIN)/python -m pytest -m slow
	$(BIN)/python -m pytest -m "hypothesis and not slow" --hypothesis-profile=many

test-peers: .venv/.dev .venv/.peers ## agreement with other libraries
	$(BIN)/python -m pytest tests/peers

test-gpu: .venv/.dev ## the contracts on an accelerator, skipped where there is none
	$(BIN)/python -m pytest -m gpu tests/contracts

check: .venv/.dev ## format, lint, types, layers, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/codespell $$(git ls-files)

docs: .venv/.docs ## build the documentation into site/
	$(BIN)/sphinx-build --fail-on-warning --quiet docs site

bench: .venv/.peers ## time the library against its peers
	$(BIN)/python benchmarks/attacks.py
	$(BIN)/python benchmarks/minimum_norm.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/neighbors.py
	$(BIN)/python benchmarks/metric_learning.py digits
	$(BIN)/python benchmarks/graphs.py
	$(BIN)/python benchmarks/stochastic.py
	$(BIN)/python benchmarks/ensembles.py
	$(BIN)/python benchmarks/tiles.py
	$(BIN)/python benchmarks/explain.py
	$(BIN)/python benchmarks/judges.py

recompile: ## forget the compiled kernels: numba does not see a change in a kernel that another file calls
	find src -name '*.nb[ic]' -delete

clean: ## remove what the other targets make
	rm -rf .venv site build dist trust-report .pytest_cache .ruff_cache .hypothesis .coverage*

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.base: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

.venv/.dev: .venv/.base
	$(PIP) --editable '.[dev]'
	touch $@

.venv/.studio: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --editable '.[studio]'
	touch $@

.venv/.docs: .venv/.base
	$(PIP) --editable '.[docs]'
	touch $@

.venv/.peers: .venv/.base
	$(PIP) --editable '.[peers]'
	$(PIP) --no-deps torchattacks bayesian-torch imagecorruptions opencv-python-headless
	touch $@
