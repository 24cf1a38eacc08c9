# Two commands are enough on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
TORCH  ?= auto # which build of torch: auto (by whether there is an NVIDIA driver), cpu, default
ifneq ($(words $(VENV)),1)
$(error VENV is "$(VENV)", expected a path without spaces)
endif
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
NEWEST := .venv-newest
QUICK  := @tests/quick.txt
LOCKED := --extra dev --extra demo --extra docs --extra world --extra sweep

.PHONY: demo test quick lint newest lock mutants docs mini mini-dit comfy measure results clean

$(READY): pyproject.toml constraints.txt
	@echo "setting up spatial-audiotoken in $(VENV): two to seven minutes, 2 GB (7 GB where torch comes with CUDA)"
	@$(PYTHON) install.py --venv $(VENV) --torch $(strip $(TORCH))
	@touch $@

demo: $(READY)  ## synthesised sounds -> pictures, on the checkpoint that ships
	@OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m experiments.demo --out demo

test: $(READY)  ## lint, types and tests: one process, one thread, no network
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest

quick: $(READY)  ## spatial, guidance, prompt and embedder on debug parts: about half a minute
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(QUICK)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

newest:  ## the quick tests on the newest releases that pyproject.toml allows, in an environment of their own
	@$(PYTHON) install.py --venv $(NEWEST) --torch $(strip $(TORCH)) --newest
	@OMP_NUM_THREADS=1 $(NEWEST)/bin/python -m pytest $(QUICK)

lock: $(READY)  ## renew constraints.txt: the newest releases, for all platforms and Pythons
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/python -m uv pip compile --quiet --upgrade --universal --python-version 3.11 $(LOCKED) --strip-extras \
		--no-annotate --custom-compile-command "make lock" pyproject.toml --output-file constraints.txt

mutants: $(READY)  ## break lines that matter, one at a time: the tests must notice (minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python tests/mutants.py

docs: $(READY)  ## the pages of docs/ and the API from the docstrings, as a site in runs/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

mini: $(READY)  ## retrain audiotoken/mini/ from scratch: a day and more on two cores; resumes where it stopped
	@$(PYTHON) install.py --venv $(VENV) --torch $(strip $(TORCH)) --extras dev,world
	$(BIN)/python -m experiments.world.training.make_mini --out runs/mini

mini-dit: $(READY)  ## runs/mini-dit/, a small transformer in the layout of Stable Diffusion 3; resumes where it stopped
	@$(PYTHON) install.py --venv $(VENV) --torch $(strip $(TORCH)) --extras dev,world
	$(BIN)/python -m experiments.world.training.make_mini --out runs/mini --dit

comfy: $(READY)  ## dist/spatial-audiotoken-nodes: the folder for ComfyUI's custom_nodes, which needs numpy and scipy only
	@$(BIN)/python -m audiotoken.comfy.build dist

measure: $(READY)  ## the table of the model card
	$(BIN)/python -m experiments.world.measure

results: $(READY)  ## the default experiments, and docs/results.md from them; goes on where it was stopped
	OMP_NUM_THREADS=1 $(BIN)/python -m experiments.ablations.default_set

clean:  ## the environments and what was built; results (runs, demo, pictures) stay
	rm -rf $(VENV) $(NEWEST) dist runs/site
