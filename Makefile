# Every target makes what it needs in .venv first. No activated environment is used, and none disturbs.

PYTHON ?= python3
N ?= 200
CORES ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)

BIN := .venv/bin
# Named after the content of the lock, so that a git checkout, which touches files, reinstalls nothing.
STAMP := .venv/.installed-$(shell cksum < requirements.lock | tr ' ' -)

unexport PYTHONHOME PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help setup demo plan monitor test test-unit test-long faults gpus bench-npu lint format grid documents messages lock clean

help: ## Show this list
	@echo "Usage: make TARGET [PYTHON=python3.11] [CORES=4]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

setup: ## Install what requirements.lock pins into .venv (2 minutes, 7 GB; nothing when it is up to date)
	@set -eu; \
	if [ -e $(STAMP) ] && $(BIN)/python -c ''; then exit 0; fi; \
	"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "error: '$(PYTHON)' is not Python 3.11, 3.12 or 3.13 — install one and name it: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.11" >&2; \
	  exit 2; }; \
	"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: '$(PYTHON)' has no venv module — install it first (Debian, Ubuntu: apt install python3-venv)" >&2; exit 2; }; \
	if [ -e .venv/.installing ] || ! grep -qsF "$$(pwd -P)/.venv" .venv/pyvenv.cfg || ! $(BIN)/python -c ''; then \
	  echo "setup: making .venv with $(PYTHON)"; \
	  "$(PYTHON)" -m venv --clear .venv; \
	fi; \
	rm -f .venv/.installed-*; \
	: > .venv/.installing; \
	pip="$(BIN)/python -m pip install --disable-pip-version-check --no-input -qq --require-hashes"; \
	echo "setup: installing torch (the largest part; all of it takes about 2 minutes and 7 GB)"; \
	awk '/^[^ ]/ {torch = /^torch(vision)?==/} torch' requirements.lock > .venv/.torch.lock; \
	$$pip --no-deps -r .venv/.torch.lock; \
	echo "setup: installing everything else that requirements.lock pins"; \
	$$pip -r requirements.lock; \
	rm .venv/.installing; \
	: > $(STAMP); \
	echo "setup: done"

demo: setup ## Train, evaluate and report six variants on the embedded digits, into results/demo
	@$(BIN)/snakemake --cores $(CORES) --resources gpu=1 --configfile config/demo.yaml
	@echo "The report: results/demo/report.html"

plan: setup ## Print what would run, why, and the time and disk expected (CONFIG="config/demo.yaml"); runs nothing
	@$(BIN)/python -m workflow.scripts.plan --cores $(CORES) $(if $(CONFIG),--config $(CONFIG))

monitor: setup ## Watch the session that was started last, from another terminal (Ctrl-C ends the view only)
	@$(BIN)/python -m workflow.scripts.monitor

# tests/conftest.py has the order of the files.
REAL := --dist loadfile --no-loadscope-reorder --durations=20 -m "not long" tests/faults tests/e2e tests/workflow

test: setup ## Run every test but the ones marked long
	@$(BIN)/pytest -n auto tests/unit
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 $(REAL)

test-unit: setup ## Run the unit tests only (seconds)
	@$(BIN)/pytest -n auto tests/unit

test-long: setup ## Run the tests that take minutes each
	@$(BIN)/pytest -m long tests

faults: setup ## Kill trainings N times at random instants and compare what they end with, bit for bit
	@OMP_NUM_THREADS=1 $(BIN)/python -m tools.faults --kills $(N)

gpus: setup ## Kill jobs and sessions that share four GPUs, N/10 runs of ten kills, and look for a GPU with two holders
	@$(BIN)/python -m tools.gpus --runs $$(( ($(N) + 9) / 10 ))

bench-npu: setup ## Compare the int8 export with Ultralytics' own, side by side (about half an hour)
	@$(BIN)/python -m tools.bench_npu

lint: setup ## Check style, format and the workflow's good practice
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/snakefmt --check Snakefile workflow/rules
	@$(BIN)/snakemake --lint
	@$(BIN)/python -m tools.layers
	@$(BIN)/mypy

format: setup ## Fix what `make lint` can fix by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/snakefmt Snakefile workflow/rules

grid: setup ## Write the model files of the grid, after a change of the activations
	@$(BIN)/python -m tools.grid

documents: setup ## Write the types of the result documents from their schemas
	@$(BIN)/python -m tools.documents

messages: setup ## Bring the message catalogues up to date with the code, and list what is untranslated
	@$(BIN)/python -m tools.messages

lock: setup ## Write requirements.lock and environment.yml from requirements.in (UPGRADE="NAME …" or UPGRADE=all)
	@$(BIN)/python tools/lock.py $(if $(UPGRADE),--upgrade $(UPGRADE))
	@$(MAKE) --no-print-directory setup

clean: ## Remove caches and the mark that setup is done; results and the environment stay
	@rm -rf .venv/.installed-* .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find conftest.py workflow tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
