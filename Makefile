# Everything a newcomer needs.  A bare machine with Python 3.11+, make and pip is enough; nothing is compiled.
#   make lab     LIMO in miniature, from a pool to a report: runs/lab/report.html
#   make test    the fast tests (the slow ones: pytest -m slow)
#   make lint    style, types, import layers, generated pages
#   make check   what a change must pass: lint and test
#   make real    the whole road with a real model (SmolLM2-135M from PyPI) and a real server; results/real.json
#   make bench   measurements beside peers, on recorded completions: make bench DATA=folder
#   make docs    regenerate what is generated from the code
#   make site    the docs as pages: build/site
#   make lock    newest versions of everything into uv.lock, and from it constraints.txt
# An existing environment can be used as it is: make test BIN=/its/bin
# On Linux without a GPU: make lab CPU=1 takes torch's CPU build; pip's own choice is CUDA, several GB.
PYTHON ?= python3
VENV ?= .venv
DATA ?= ../shared/data
CPU_TORCH ?= https://download.pytorch.org/whl/cpu
BIN ?= $(VENV)/bin
PLAIN := --no-hashes --no-emit-project --no-annotate --no-header
IS_OWN := $(filter $(BIN),$(VENV)/bin)
READY := $(if $(IS_OWN),$(VENV)/.ready)
DEV_READY := $(if $(IS_OWN),$(VENV)/.dev-ready)

.PHONY: lab real test lint check bench docs site lock clean

lab: $(READY)
	$(BIN)/limo lab --run runs/lab

real: $(READY)
	$(BIN)/python real/road.py runs/real

test: $(DEV_READY)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(DEV_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/build.py --check
	$(BIN)/python docs/results.py --check

check: lint test

bench: $(DEV_READY)
	set -e; for script in bench/*.py; do $(BIN)/python $$script $(DATA); done

docs: $(DEV_READY)
	$(BIN)/python docs/build.py
	$(BIN)/python docs/results.py

site: $(DEV_READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

lock: $(DEV_READY)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export --quiet --frozen --all-extras --group dev --group docs $(PLAIN) -o constraints.txt

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "limo needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12"; exit 1; }
	@echo "installing limo into $(VENV): this takes some minutes, and pip is quiet meanwhile"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet 'pip>=25.1'
	$(if $(CPU),$(VENV)/bin/python -m pip install --quiet --no-deps $(shell sed -n 's/^\(torch==[^ ;]*\).*/\1/p' constraints.txt) --index-url $(CPU_TORCH))
	$(VENV)/bin/python -m pip install --quiet -c constraints.txt -e '.[lab,view]'
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.ready
	$(VENV)/bin/python -m pip install --quiet -c constraints.txt --group dev
	@touch $@

clean:
	rm -rf $(VENV) build src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
