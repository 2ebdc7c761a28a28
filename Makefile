# `make train` and `make test` need Python >= 3.10 and pip, and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PLUGINS = plugins/tdmr1-shapes plugins/tdmr1-diffusers plugins/tdmr1-flux2 plugins/tdmr1-reward-geneval \
	plugins/tdmr1-reward-ocr plugins/tdmr1-reward-variety plugins/tdmr1-reward-basic plugins/tdmr1-reward-aesthetic plugins/tdmr1-reward-preference \
	plugins/tdmr1-reward-vlm plugins/tdmr1-reward-likes plugins/tdmr1-reward-imagereward \
	plugins/tdmr1-reward-hpsv3
# What tests need beyond what a package itself requires.
EXTRAS = -e 'plugins/tdmr1-reward-geneval[mask2former]' -e 'plugins/tdmr1-reward-likes[parquet,test]'
# All packages are built by one setuptools, which is installed first, instead of one each.
PIP = $(BIN)/pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
ARGS ?=
# On a CPU two processes with half of the cores each are faster than one with all (docs/several-processes.md).
CORES := $(shell nproc 2>/dev/null || echo 1)
PROCESSES ?= $(shell [ $(CORES) -lt 2 ] || command -v nvidia-smi >/dev/null && echo 1 || echo 2)
OMP_NUM_THREADS ?= $(shell n=$$(($(CORES) / $(PROCESSES))); echo $$((n > 0 ? n : 1)))

.PHONY: install test lint types train clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt $(addsuffix /pyproject.toml,$(PLUGINS))
	$(PYTHON) -m venv $(VENV)
	$(PIP) setuptools
	$(PIP) --no-build-isolation -e '.[train,report,dev]' $(addprefix -e ,$(PLUGINS)) $(EXTRAS)
	touch $@

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope $(ARGS)

lint: install types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p tdmr1
	$(BIN)/mypy $(foreach plugin,$(PLUGINS),$(plugin)/$(subst -,_,$(notdir $(plugin))))

# Type checkers do not follow `package-dir`; they read this link farm instead.
types:
	mkdir -p build/types/tdmr1
	for folder in core rewards trainers; do ln -sfn ../../../$$folder build/types/tdmr1/$$folder; done
	for entry in core/_tdmr1/*; do ln -sfn ../../../$$entry build/types/tdmr1/$$(basename $$entry); done

train: install
ifeq ($(PROCESSES),1)
	$(BIN)/tdmr1 train $(ARGS)
else
	OMP_NUM_THREADS=$(OMP_NUM_THREADS) $(BIN)/torchrun --nproc-per-node $(PROCESSES) -m tdmr1 train $(ARGS)
endif

clean:
	rm -rf $(VENV) build dist *.egg-info plugins/*/*.egg-info
