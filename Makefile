# Each target first makes .venv if it is missing, or older than pyproject.toml or constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export UV_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help start demo test other gate test-all test-arm bench bench-check bench-grading bench-term bench-watch digits lesson pictures docs fuzz lint clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' Makefile

start: $(READY)  ## make a folder to work in, without answers, and open its lesson (DIR=work FROM=kernels)
	@$(BIN)/tito export --all
	@$(BIN)/tito start $(or $(DIR),work) $(if $(FROM),--from $(FROM)) --notebook

demo: $(READY)  ## export the modules, test kernels, then release it, grade a class of four and write its feedback
	@$(BIN)/tito export --all
	@$(BIN)/tito test kernels --inline-only
	@$(BIN)/python tests/e2e/sample_class.py

test: $(READY)  ## run the test suite
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/tito export --all --check
	$(BIN)/pytest -n auto -m "not slow"

other: $(READY)  ## install for another Python and run a small selection of tests (PYTHON=python3.13)
	$(BIN)/uv venv -q --clear --python $(PYTHON) build/other
	$(BIN)/uv pip install -q --python build/other/bin/python -c constraints.txt --config-setting editable_mode=compat -e '.[test]'
	build/other/bin/python -m pytest -q -n 0 -m "not slow" -p no:cacheprovider tests/notebooks tests/grading/test_verdicts.py tests/core/test_layers.py tests/lab/test_roofline.py

gate: .venv/docs .venv/browser  ## run the slow tests of the main promises
	$(BIN)/pytest -n auto -m gate

test-all: test .venv/docs .venv/browser .venv/hub  ## run the test suite and all slow tests, in a browser too if chromium is installed
	$(BIN)/pytest -n auto -m slow
	$(BIN)/python -m benchmarks --check

test-arm: $(READY)  ## run the tests of the kernels on an emulated ARM64 processor (needs root; an hour)
	@$(BIN)/python -m tests.arm64 $(ARGS)

bench: $(READY)  ## measure the kernels beside NumPy, MKL, torch and onnxruntime (ARGS=--quick)
	@test -e .venv/bench \
	    || { $(BIN)/python -m pip install -q --config-settings editable_mode=compat -e '.[bench]' && touch .venv/bench; } \
	    || echo "MKL, torch and onnxruntime could not be installed: their rows say so"
	$(BIN)/python -m benchmarks $(ARGS)
	$(BIN)/python -m benchmarks.parts | tee build/bench/parts.md

bench-check: $(READY)  ## measure quickly and compare with docs/measured/kernels.md
	$(BIN)/python -m benchmarks --check

bench-grading: $(READY)  ## measure grading beside nbgrader (ARGS='--students 60 --class 1000')
	$(BIN)/python -m benchmarks.grading $(ARGS)

bench-term: $(READY)  ## measure a term of one class, with killed commands (ARGS='--students 40')
	$(BIN)/python -m benchmarks.term $(ARGS)

bench-watch: $(READY)  ## measure the time from a save to the verdict of tito watch (ARGS='kernels gpu_relu')
	@$(BIN)/python -m benchmarks.watch $(or $(ARGS),kernels)

lesson: $(READY)  ## run a solved lesson, print its CPU time, its ladder and counts of its text (ARGS=kernels)
	@$(BIN)/python -m benchmarks.lesson $(or $(ARGS),kernels)

digits: $(READY)  ## run the complete system on the handwritten digits; results in build/digits (ARGS='--epochs 10')
	@$(BIN)/python -m examples.digits $(ARGS)

pictures: $(READY)  ## measure and draw the pictures of README.md, docs/pictures
	@$(BIN)/python -m benchmarks.pictures

docs: .venv/docs  ## build the documentation site, build/docs
	$(BIN)/python -m sphinx -q -W --keep-going -j auto -d build/docs-trees docs build/docs
	@echo build/docs/index.html

fuzz: $(READY)  ## fuzz the code that reads submissions and messages of workers (RUNS=100000; needs Linux)
	$(BIN)/python -m pip install -q --config-settings editable_mode=compat -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz reader -runs=$(or $(RUNS),20000)
	$(BIN)/python -m tests.fuzz wire -runs=$(or $(RUNS),20000)

lint: $(READY)  ## format the code and fix what ruff can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean:  ## remove what can be made again; keep .venv, submissions and marks
	rm -rf build/arm64 build/bench build/demo build/digits build/mypy build/other build/docs build/docs-trees build/jupyter_execute build/lessons build/records docs/lessons docs/reference .pytest_cache .ruff_cache .hypothesis
	find tinytorch tito tests modules benchmarks examples -name __pycache__ -type d -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v < (3, 15) and f"error: Python {v[0]}.{v[1]}\nhint: make PYTHON=python3.12 with a version from 3.11 to 3.14, after rm -rf .venv")'
	@echo "setting up .venv (once)"
	@if $(BIN)/python -m pip install -q uv; then \
	    $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt --config-setting editable_mode=compat -e '.[test]'; \
	else \
	    $(BIN)/python -m pip install -q --config-settings editable_mode=compat -e '.[test]'; \
	fi
	@touch $(READY)

.venv/browser: $(READY)
	@$(BIN)/python -m pip install -q --config-settings editable_mode=compat -e '.[browser]' \
	    || echo "playwright could not be installed: the tests in a browser are skipped"
	@touch .venv/browser

.venv/hub: $(READY)
	@$(BIN)/python -m pip install -q --config-settings editable_mode=compat -e '.[hub]' \
	    || echo "JupyterHub could not be installed: its test is skipped"
	@touch .venv/hub

.venv/docs: $(READY)
	@$(BIN)/python -m pip install -q --config-settings editable_mode=compat -e '.[docs]'
	@touch .venv/docs
