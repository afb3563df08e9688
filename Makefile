# One door for people and for CI. Everything is installed into .venv; nothing outside this folder is touched.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: quickstart foundations foundations/words foundations/speech foundations/encoder foundations/llm foundations/world foundations/adapter foundations-longer foundations/longer/encoder foundations/longer/llm test test-all check bench setup clean

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

# The LLM's first steps, in which its embeddings find their places, beside the making of speech; then both frozen parts on
# these embeddings, a core each, and the adapter's speech when the LLM is done; then the adapter on both. Stopped or
# killed, the same command goes on.
PRETRAIN := OMP_NUM_THREADS=1 $(BIN)/speechverse pretrain
foundations: $(READY)
	$(MAKE) -j2 foundations/words foundations/speech
	$(MAKE) -j2 foundations/encoder foundations/llm foundations/world
	$(MAKE) foundations/adapter

foundations/words: $(READY)
	$(PRETRAIN) lm recipes/foundations/lm-tiny-words.yaml --output foundations/work-words --into $@

foundations/speech: $(READY)
	$(PRETRAIN) encoder recipes/foundations/encoder-tiny.yaml --output foundations/work-encoder --prepare

foundations/encoder: $(READY)
	$(PRETRAIN) encoder recipes/foundations/encoder-tiny.yaml --output foundations/work-encoder --into $@

foundations/llm: $(READY)
	$(PRETRAIN) lm recipes/foundations/lm-tiny.yaml --output foundations/work-llm --into $@

# One process: the other core is the encoder's.
foundations/world: $(READY)
	$(BIN)/speechverse synth $@ --train 10000 --dev 200 --test 0 --seed 41 --workers 1

foundations/adapter: $(READY) foundations/world
	$(BIN)/speechverse train recipes/foundations/adapter-tiny.yaml --output $@ $(if $(wildcard foundations/adapter/last),--resume)

# Both go on for about twice as long: how the parts that ship were made, in several goes.
foundations-longer: $(READY)
	$(MAKE) -j2 foundations/longer/encoder foundations/longer/llm

foundations/longer/encoder: $(READY)
	$(PRETRAIN) encoder recipes/foundations/encoder-tiny-longer.yaml --output foundations/work-longer-encoder --into $@

foundations/longer/llm: $(READY)
	$(PRETRAIN) lm recipes/foundations/lm-tiny-longer.yaml --output foundations/work-longer-llm --into $@

test: $(READY)
	$(BIN)/python -m pytest

# Those marked `slow` too (the frozen test sets spoken as a whole, real pretrained parts where they are here), and more
# of the inputs that are made at random.
test-all: $(READY)
	SPEECHVERSE_FUZZ=$${SPEECHVERSE_FUZZ:-400} $(BIN)/python -m pytest -m ""

check: $(READY)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf quickstart runs build dist
