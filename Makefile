# make quickstart: train a small GAN on cartoon faces.   make test: run all tests.
# Both make the environment first, and need nothing but Python 3.11 or newer and make.

VENV ?= .venv
CONSTRAINTS ?= constraints.txt
WORKDIR ?= runs/quickstart
PROCESSES ?= 2
BIN := $(VENV)/bin

# The first Python that is new enough and really runs: a name on the PATH may stand for a version that is not installed.
NEW_ENOUGH := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	if $$python -c '$(NEW_ENOUGH)' 2>/dev/null; then echo $$python; break; fi; done)

.PHONY: quickstart test install lint format typecheck clean

quickstart: $(VENV)/.installed
	$(BIN)/python -m experiments.dcgan --flagfile=quickstart.flags --workdir=$(WORKDIR)
	@echo "Its scores, on 2,000 new faces (README.md says what they mean):"
	@$(BIN)/python -m experiments.evaluate --workdir=$(WORKDIR) --num=2000 --features=thumbnails --format=table
	@echo "The pictures are in $(WORKDIR)/samples (the last is the best), and how they came about in $(WORKDIR)/evolution.gif"
	@echo "More: $(BIN)/python -m experiments.sample --workdir=$(WORKDIR) --show=interpolation --out=walk.gif"

test: install
	$(BIN)/python -m pytest --numprocesses=$(PROCESSES) --dist=loadfile

# What the tests need besides: pytest, hypothesis, ruff, mypy. The quickstart does without.
install: $(VENV)/.installed-for-tests

$(VENV)/.installed-for-tests: $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]' --constraint $(CONSTRAINTS)
	@touch $@

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with its venv module is needed (on Debian and Ubuntu: install python3-venv); \
	name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Making the environment $(VENV) with $$($(PYTHON) --version): this takes a few minutes, once."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --constraint $(CONSTRAINTS)
	@touch $@

# The oldest versions that pyproject.toml admits: make test VENV=.venv-floors CONSTRAINTS=build/floors.txt
build/floors.txt: pyproject.toml
	@mkdir -p $(@D)
	@sed -nE 's/^ *"([A-Za-z_-]+)>=([0-9.]+)[";].*/\1==\2/p' pyproject.toml > $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

typecheck: install
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
