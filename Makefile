# Every target sets up what it needs: git, make and Python 3.11 or newer with venv are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MINUTES ?= 30
TASKS ?= 1000

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: run test check tools bench soak fix schemas clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

run: $(READY) ## the simulator and the reconciler on desired_state/, until Ctrl-C
	$(BIN)/python scripts/demo.py

test: $(READY) ## all tests, with branch coverage
	$(BIN)/pytest --numprocesses 3 --dist worksteal --cov --cov-report= $(ARGS)
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --include='reconciler/core/*' --fail-under=100

tools: ## what only some tests need, from Debian's packages; asks for nothing when all is there
	(for program in chromium curl jq gpg ssh-keygen; do command -v $$program || exit 1; done) > /dev/null || { \
	  $(SUDO) apt-get update && \
	  $(SUDO) apt-get install --yes --no-install-recommends \
	    chromium fonts-liberation fonts-dejavu-core curl jq gnupg openssh-client; }

check: $(READY) ## style, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

schemas: $(READY) ## what is made from data: the section schemas, and docs/rules.md
	$(BIN)/python scripts/schemas.py
	$(BIN)/python scripts/rules.py

bench: $(READY) ## what it costs and whether it is fair, as ratios: docs/benchmarks.md
	$(BIN)/python benchmarks/plan.py
	$(BIN)/python benchmarks/git.py
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/fairness.py

soak: $(READY) ## the daemon with everything going wrong for MINUTES=30 over TASKS=1000; then PASS or FAIL
	$(BIN)/python benchmarks/soak.py --minutes $(MINUTES) --tasks $(TASKS) $(ARGS)

fix: $(READY) ## what the formatter can mend by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .run dist
