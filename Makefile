# One door for people and for CI. Everything is installed into .venv; nothing outside this folder is touched.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: quickstart foundations foundations/first/encoder foundations/first/llm foundations/encoder foundations/llm test check bench setup clean

setup: $(READY)

# torch first and by version: a plain `torch` would bring gigabytes of GPU libraries where there is no GPU.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "speechverse needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,eval,synth,dev]'
	@touch $(READY)

quickstart: $(READY)
	$(BIN)/speechverse quickstart --output quickstart

# The two frozen parts, side by side, in two rounds; stopped or killed, the same command goes on. In the second the
# encoder learns to speak the embeddings of the first round's LLM.
PRETRAIN := OMP_NUM_THREADS=1 $(BIN)/speechverse pretrain
foundations: $(READY)
	$(MAKE) -j2 foundations/first/encoder foundations/first/llm
	$(MAKE) -j2 foundations/encoder foundations/llm

foundations/first/encoder: $(READY)
	$(PRETRAIN) encoder recipes/foundations/encoder-tiny.yaml --output foundations/work-first-encoder --into $@

foundations/first/llm: $(READY)
	$(PRETRAIN) lm recipes/foundations/lm-tiny.yaml --output foundations/work-first-llm --into $@

foundations/encoder: $(READY)
	$(PRETRAIN) encoder recipes/foundations/encoder-tiny-second.yaml --output foundations/work-encoder --into $@

foundations/llm: $(READY)
	$(PRETRAIN) lm recipes/foundations/lm-tiny-second.yaml --output foundations/work-llm --into $@

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf quickstart runs build dist
