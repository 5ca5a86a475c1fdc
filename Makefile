# One environment a stack of mm packages: STACK=onedl (the maintained one) in .venv, STACK=openmmlab
# (the last OpenMMLab releases) in .venv-openmmlab. No compiler is needed.

STACK ?= onedl
PYTHON ?= python3
DATA ?=
OUT ?= demo_out
MARK ?= not slow
JOBS ?= 2

ifeq ($(STACK),onedl)
VENV := .venv
PYTHON_VERSIONS := 3.11 3.12 3.10
else ifeq ($(STACK),openmmlab)
VENV := .venv-openmmlab
PYTHON_VERSIONS := 3.11 3.10
else
$(error STACK is onedl or openmmlab, not '$(STACK)')
endif

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c requirements/$(STACK).txt

# mmcv compiles its operators (25 minutes) where it finds torch while it is built. Build isolation
# hides torch from it, unless the caller's environment lets it through.
export MMCV_WITH_OPS := 0
unexport PYTHONPATH PIP_NO_BUILD_ISOLATION

# OpenMP threads that wait spin by default: with other work on two cores, training took 13 times as
# long as with this.
OMP_WAIT_POLICY ?= PASSIVE
export OMP_WAIT_POLICY

.DEFAULT_GOAL := help
.PHONY: help install demo test lint docs clean

help:
	@echo "make install   create $(VENV) and install torch, the mm packages and mmspec into it"
	@echo "make demo      pre-train a tiny InfMAE, fine-tune the shipped one, leave pictures in OUT"
	@echo "               ($(OUT)); with DATA=FOLDER pre-train on your own images"
	@echo "make test      run the tests and ruff"
	@echo "make lint      run ruff alone"
	@echo "make docs      write the documentation's site to site/"
	@echo "make clean     remove caches and what builds leave (not the environments)"
	@echo
	@echo "STACK=onedl|openmmlab  which mm packages, now $(STACK)"
	@echo "MARK=EXPRESSION        which tests, now '$(MARK)'; stack: those for both stacks"
	@echo "JOBS=N                 in how many processes, now $(JOBS), of a thread each"
	@echo "PYTHON=PROGRAM         the Python to start from, one of: $(sort $(PYTHON_VERSIONS))"

install: $(STAMP)

$(BIN)/python:
	@python=$$(requirements/find_python.sh "$(PYTHON)" $(PYTHON_VERSIONS)) || exit 1; \
	echo "Creating $(VENV) with $$("$$python" -V) ..."; \
	"$$python" -m venv $(VENV)

$(STAMP): setup.py pyproject.toml requirements/$(STACK).txt mmspec/version.py | $(BIN)/python
	@echo "Installing torch and torchvision into $(VENV) (several GB, minutes) ..."
	@$(PIP) setuptools torch torchvision
	@echo "Installing the $(STACK) mm packages and mmspec ..."
	@$(PIP) --editable ".[$(STACK),tests]"
	@$(BIN)/python -c "import mmspec; print('Installed mmspec', mmspec.__version__)"
	@touch $@

demo: install
	@$(BIN)/python tools/demo.py --out "$(OUT)" $(if $(DATA),--data "$(DATA)")

# A file's tests stay together, for what they share. In the order of the folders, quick files end it;
# in xdist's own, those of one slow test.
test: install
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 \
		$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "$(MARK)"
	@$(MAKE) --no-print-directory lint

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check mmspec tools tests setup.py

# The two variables silence what the theme and a plugin say of each other's future.
docs: install
	@$(PIP) ".[docs]"
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict

clean:
	rm -rf build dist site mmspec.egg-info .pytest_cache .ruff_cache
	find mmspec tools tests configs -name __pycache__ -type d -prune -exec rm -rf {} +
