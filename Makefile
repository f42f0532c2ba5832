# The two commands of the README, and what a contributor needs. Nothing here needs more than python3 (3.11 or
# newer) and make: each target makes the environment it uses.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := $(VENV)/.demo-installed
DEV := $(VENV)/.dev-installed
OUT ?= demo-output

.PHONY: help demo picture card-pictures test coverage check ci tokens bench bench-check waits soak episodes agreement generated models-check
.PHONY: manifests constraints mcpb
.PHONY: rolling package interop interop-frameworks mutants mends hooks clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{printf "  make %-11s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(DEMO): $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(DEV): $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(DEMO)

demo: $(DEMO) ## Watch the whole job: pictures and a video made on the built-in sandbox
	$(BIN)/evolink-mcp demo --out $(OUT)

picture: $(DEMO) ## Draw the README's pictures anew, out of a demo
	rm -rf /tmp/evolink-demo
	$(BIN)/evolink-mcp demo --out /tmp/evolink-demo --picture docs/demo.svg
	cp "$$(ls -t /tmp/evolink-demo/preview-*.jpg | tail -1)" docs/demo-picture.jpg
	cp "$$(ls -t /tmp/evolink-demo/preview-*.jpg | head -1)" docs/demo-film.jpg

card-pictures: $(DEV) ## Draw the README's pictures of the card anew (needs npm, the network and Chromium)
	$(BIN)/python -m tests.interop.card.pictures

test: $(DEV) ## Run the tests
	$(BIN)/python -m pytest -n 3 --dist worksteal --timeout 300 -m 'not slow'

coverage: $(DEV) ## Run the tests with branch coverage, which takes half as long again
	$(BIN)/python -m pytest -n 3 --dist worksteal --timeout 300 -m 'not slow' --cov --cov-report=term --cov-fail-under=90

check: $(DEV) ## Lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

generated: $(DEV) manifests ## Write what is made of the code: schema snapshots, docs/models.md, manifests
	$(BIN)/python -m tests.snapshots

tokens: $(DEV) ## Show what the list of tools costs an agent, tool by tool, and its budget
	$(BIN)/python -m tests.tokens

models-check: $(DEV) ## Compare the registry with newer facts: FILE=facts.json
	$(BIN)/python -m manifests.models_check $(FILE)

manifests: $(DEV) ## Write the manifests and the README's tables anew
	$(BIN)/python -m manifests.generate

constraints: $(DEV) ## Write constraints.txt anew: the versions that the image installs
	$(BIN)/uv pip compile pyproject.toml --extra redis --extra s3 --python-version 3.13 --python-platform linux --upgrade \
		--no-header --no-annotate --quiet --output-file constraints.txt

mcpb: $(DEV) ## Pack the bundle for Claude Desktop into dist/
	$(BIN)/python -m manifests.bundle

package: $(DEV) ## Build wheel, sdist and bundle, install each into an empty environment, and use it
	$(BIN)/python -m pytest -v tests/interop/test_package.py

interop: $(DEV) ## Use all of it with software nobody here wrote (needs npm and the network)
	$(BIN)/python -m tests.interop.fetch
	$(BIN)/python -m pytest -n 4 --dist loadgroup --timeout 600 --durations=5 -m 'not heavy' tests/interop

interop-frameworks: $(DEV) ## Run the agent frameworks, the heavy ones too
	$(BIN)/python -m pytest -n 2 --durations=5 tests/interop/frameworks

rolling: $(DEV) ## Restart replicas under load behind nginx: nothing refused, lost or paid twice; workers with sign-in and copies
	$(BIN)/python -m pytest -v -m slow tests/e2e

bench: $(DEV) ## Measure speed and footprint beside the SDK floor and other servers, and write docs/performance.md
	$(BIN)/python -m benchmarks

waits: $(DEV) ## Measure 100 to 10,000 agents that wait a minute each, and write docs/performance.md (a quarter of an hour)
	$(BIN)/python -m benchmarks --only waits

soak: $(DEV) ## Ten minutes of agents that hang up and repeat, on two replicas whose store fails (SOAK="--seconds 60 --agents 20")
	$(BIN)/python benchmarks/soak.py $(SOAK)

episodes: $(DEV) ## 2,000 seeded episodes of cancels, hang-ups and repeats over real stdio and HTTP sockets
	EVOLINK_EPISODES=2000 $(BIN)/python -m pytest -q tests/e2e/test_paid_once.py tests/unit/test_every_await_of_a_call.py \
		tests/unit/test_every_await_of_a_rich_call.py tests/unit/test_every_await_of_two_processes.py

agreement: $(DEV) ## 1,000 calls at random, each as a dry run and for real: they say the same
	$(BIN)/python -m pytest -q -m slow tests/contract/test_dry_run_agrees.py

bench-check: $(DEV) ## Hold the budgets of speed and footprint, as ratios in one run
	$(BIN)/python -m benchmarks --check

mutants: $(DEV) ## Change the code line by line for ten minutes, and show what no test notices (ROOMS="jobs gateway guard")
	$(BIN)/python -m tests.mutants $(ROOMS)

mends: $(DEV) ## Take out each mend of the money path, one by one, and show which no test misses (MENDS="ledger --list")
	$(BIN)/python -m tests.mends $(MENDS)

hooks: $(DEV) ## Run the checks before every commit
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pre-commit
	$(BIN)/pre-commit install

ci: check test ## What .ci/run runs

clean: ## Remove the environment and what was built
	rm -rf $(VENV) build dist .coverage .coverage.* .pytest_cache .ruff_cache .hypothesis
