# `make demo` and `make test` need Python >= 3.11 and a package index, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
DEMO   ?= demo
TRACED := outputs/ocr_training-dbnet-pan_decoder-mobilenetv3_small_050_33-unknown_training_20251018_023219/checkpoints/best.ckpt

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz lowest oracle check format docs example eval bench clean

help: ## List what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[postgresql]' --group dev
	@touch $@

demo: $(VENV)/.installed ## Ingest the example project and show what catalog says of it
	@rm -rf $(DEMO) && mkdir $(DEMO)
	@$(BIN)/python examples/restore_times.py examples/ocr-project $(DEMO)/ocr-project
	$(BIN)/catalog ingest $(DEMO)/ocr-project --db $(DEMO)/catalog.db
	$(BIN)/catalog query --unusable --db $(DEMO)/catalog.db
	$(BIN)/catalog trace $(TRACED) --db $(DEMO)/catalog.db
	$(BIN)/catalog status --db $(DEMO)/catalog.db
	$(BIN)/catalog report -o $(DEMO)/report.md --db $(DEMO)/catalog.db
	@echo "The report lies in $(DEMO)/report.md, the catalog in $(DEMO)/catalog.db."
	@echo "Next: $(BIN)/catalog recover --dry-run --db $(DEMO)/catalog.db"

test: $(VENV)/.developing ## Run the tests
	$(BIN)/python -m pytest --quiet --numprocesses 2

fuzz: $(VENV)/.developing ## Run the property tests on examples that were never tried
	$(BIN)/python -m pytest --quiet --numprocesses 2 -m hypothesis --hypothesis-profile fresh

lowest: ## Run the tests with the oldest versions that pyproject.toml allows
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --upgrade pip
	.venv-lowest/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable . pytest pytest-xdist hypothesis hatchling
	.venv-lowest/bin/python -m pytest --quiet --numprocesses 2

.venv-oracle/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-oracle
	.venv-oracle/bin/python -m pip install --quiet --upgrade pip
	.venv-oracle/bin/python -m pip install --quiet $(PIP_OPTIONS) --editable . --group oracle
	@touch $@

oracle: .venv-oracle/.installed ## Compare verdicts with those of the real libraries, on a zoo of files
	.venv-oracle/bin/python -m pytest --quiet tests/oracle

check: $(VENV)/.developing ## Lint, check the format and the types
	$(BIN)/ruff check --output-format concise
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	cd examples && ../$(BIN)/mypy --strict make_catalog.py restore_times.py

format: $(VENV)/.developing ## Format the code
	$(BIN)/ruff check --fix --quiet
	$(BIN)/ruff format --quiet

docs: $(VENV)/.developing ## Make the generated pages of the docs again
	$(BIN)/python -m docs.generate

example: $(VENV)/.installed ## Make catalog.db.example again
	$(BIN)/python examples/make_catalog.py

eval: $(VENV)/.developing ## Judge links on trees of known truth and on random ones
	$(BIN)/python -m benchmarks.eval_links

bench: $(VENV)/.developing ## Measure, and compare with what people would otherwise run
	$(BIN)/python -m benchmarks

clean: ## Remove what was made here
	rm -rf $(VENV) .venv-lowest .venv-oracle $(DEMO) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
