# Two commands are enough on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test lint docs mini measure results clean

$(READY): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing spatial-audiotoken into $(VENV) (two to five minutes, about 6 GB)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY)  ## sounds synthesised by own code -> pictures, on the checkpoint that ships
	@$(BIN)/python -m experiments.demo --out demo

test: $(READY)  ## lint, types and tests: one process, one thread, no network
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)  ## the pages of docs/ and the API from the docstrings, as a site in runs/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

mini: $(READY)  ## retrain audiotoken/mini/ from scratch: about three hours on two cores; resumes where it stopped
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[world]'
	$(BIN)/python -m experiments.world.make_mini --out runs/mini

measure: $(READY)  ## the table of the model card
	$(BIN)/python -m experiments.world.measure

results: $(READY)  ## the default experiments, and docs/results.md from them; goes on where it was stopped
	OMP_NUM_THREADS=1 $(BIN)/python -m experiments.ablations.set

clean:
	rm -rf $(VENV) runs demo outputs
