# One door for people and for CI. Everything is installed into .venv; nothing outside this folder is touched.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: quickstart test test-all check bench docs setup clean

setup: $(READY)

# torch first and by version. Where the index has GPU builds alone and there is no GPU, TORCH takes the arguments of pip that bring the CPU build.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "speechverse needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[train,eval,synth,serve,dev]'
# The page's tests skip without gradio, and say so.
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[demo]' || echo "without the extra 'demo': its tests will be skipped"
	@touch $(READY)

# `make quickstart CLIP=me.wav` asks about a recording of your own, too.
quickstart: $(READY)
	$(BIN)/speechverse quickstart --output quickstart $(if $(CLIP),--clip "$(CLIP)")

# Files side by side on all cores, each whole in one process, since its tests share what they make.
test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadfile

# Those marked `slow` too (the frozen test sets spoken as a whole, real pretrained parts where they are here), and more
# of the inputs that are made at random.
test-all: $(READY)
	SPEECHVERSE_FUZZ=$${SPEECHVERSE_FUZZ:-400} $(BIN)/python -m pytest -m "" -n auto --dist loadfile

check: $(READY)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site of docs/, in build/site; any warning is an error.
docs: $(READY)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict

bench: $(READY)
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf quickstart build dist
