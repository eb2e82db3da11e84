# Everything that people and CI do with this project; `make` alone lists the targets. Needs GNU make and Python 3.11 or newer; uses uv if it is installed.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := $(shell command -v uv 2>/dev/null)
PYTHON ?= $(shell command -v python3.11 2>/dev/null || command -v python3 2>/dev/null)

define NEED_PYTHON
@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
  { echo "Shipway needs Python 3.11 or newer; found: $$($(PYTHON) --version 2>&1 | head -n 1)." \
    "Install it, or set its path: make install PYTHON=/path/to/python3.11" >&2; exit 2; }
endef

define NEED_CLUSTER
@test -n "$$KUBECONFIG" || { echo "KUBECONFIG is not set; set it to the kubeconfig of a test cluster" >&2; exit 2; }
endef

# Options for the command behind a target: make test ARGS="-k digest", make demo ARGS=--yes
ARGS ?=
# WORKERS: test processes (three keep two cores busy while tests wait, as for the pods of a cluster).
# Tests of one xdist_group run one after the other, in one process: they share a server stack, kill its processes, and measure how soon it is
# back.
# STREAMS: simulated request streams for each case of the judgement benchmark.
test test-slow coverage test-faults test-cluster: WORKERS ?= 3
CAMPAIGNS := cluster or faults or browser or attack
test-rules test-attacks: WORKERS ?= 2
EVERY ?= 9
STREAMS ?= 500

# Without bytecode every process compiles its imports and starts seconds later, so the project's environment keeps it.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-load test-faults test-rules test-attacks test-cluster test-node coverage lint lock schema bench clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## Build .venv from the hashed lock; instant if nothing changed.
	@echo "Installed: $(BIN)/shipway"

demo: $(STAMP) ## Release the example service: a good version, and a bad one that is rolled back. KEEP=1 leaves everything running.
	@$(BIN)/shipway demo $(if $(KEEP),--keep) $(ARGS)

test: $(STAMP) ## Run the suite in under three minutes: the rules, each part against the real thing, and whole releases on a real server.
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not (slow or $(CAMPAIGNS))" $(ARGS)

test-slow: $(STAMP) ## Run the tests that take seconds each; together with `make test` they are all that needs neither a cluster nor a campaign.
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "slow and not ($(CAMPAIGNS))" $(ARGS)

coverage: $(STAMP) ## Measure the branch coverage of the rules by their own tests; it fails under the floor that pyproject.toml sets.
	@$(BIN)/pytest -q -n $(WORKERS) --dist worksteal tests/rules --cov --cov-report=term:skip-covered $(ARGS)

test-faults: $(STAMP) ## Run the kill and restart tests, and the browser tests; EVERY=1 tests every kill point, the default is each ninth.
	@SHIPWAY_EVERY=$(EVERY) $(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "(faults or browser) and not cluster and not attack" $(ARGS)

test-attacks: $(STAMP) ## Attack approvals, policy, secrets and sockets on installations of its own; EVERY is as above.
	@SHIPWAY_EVERY=$(EVERY) $(BIN)/pytest -n $(WORKERS) --dist loadgroup -m "attack and not cluster" $(ARGS)

test-load: $(STAMP) ## Request 200 releases and one rollback, and see when the rollback begins; nothing else may run meanwhile.
	@SHIPWAY_REQUESTS=200 $(BIN)/pytest -q -rA tests/flows/test_load.py $(ARGS)

test-rules: $(STAMP) ## Run the tests of the rules with hundreds of generated examples each: others each time, or by SHIPWAY_SEED.
	@HYPOTHESIS_PROFILE=thorough $(BIN)/pytest -q -n $(WORKERS) $(if $(SHIPWAY_SEED),--hypothesis-seed=$(SHIPWAY_SEED)) tests/rules $(ARGS)

test-cluster: $(STAMP) ## Run the tests that need a Kubernetes cluster; KUBECONFIG names it, EVERY is as above.
	$(NEED_CLUSTER)
	@SHIPWAY_EVERY=$(EVERY) $(BIN)/pytest -n $(WORKERS) -m "cluster and not alone" $(ARGS)

test-node: $(STAMP) ## Run the tests that need a cluster whose only node is this machine; they stop its container runtime, so run nothing else.
	$(NEED_CLUSTER)
	@$(BIN)/pytest -m "cluster and alone" $(ARGS)

lint: $(STAMP) ## Check style, format, types and import layers.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: ## Resolve requirements.lock anew from pyproject.toml; needs uv.
	@test -n "$(UV)" || { echo "uv is not on PATH; https://docs.astral.sh/uv says how to install it" >&2; exit 2; }
	$(UV) pip compile pyproject.toml --all-extras --generate-hashes --python-version 3.11 --quiet --no-header --output-file requirements.lock

schema: $(STAMP) ## Write the JSON Schemas in docs/ from their models.
	$(BIN)/shipway check --schema > docs/plan.schema.json.new
	mv docs/plan.schema.json.new docs/plan.schema.json
	$(BIN)/python -c "from tasks.rules.record.document import schema_text; print(schema_text(), end='')" > docs/record.schema.json.new
	mv docs/record.schema.json.new docs/record.schema.json
	$(BIN)/python -c "from tasks.rules.policy.policy import schema_text; print(schema_text(), end='')" > docs/policy.schema.json.new
	mv docs/policy.schema.json.new docs/policy.schema.json

bench: $(STAMP) ## Run the benchmarks, which print ratios; with STREAMS=10000 the judgement benchmark takes 40 minutes.
	@$(BIN)/python -m benchmarks.frame $(ARGS)
	@$(BIN)/python -m benchmarks.history
	@$(BIN)/python -m benchmarks.estimate
	@$(BIN)/python -m benchmarks.judgement --streams $(STREAMS)

clean: ## End a demo that was kept, and remove what was built: environment, demo, caches.
	@if test -x $(BIN)/shipway -a -e .demo/home.json; then \
	  $(BIN)/shipway local stop --home .demo; $(BIN)/shipway down --now --home .demo; \
	fi
	rm -rf $(VENV) .demo .demo-repository .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# All packages come from the lock with hashes, including this project's build backend, so building the project downloads nothing else.
# pip compiles bytecode by default, uv only with an option; without it, importing Great Expectations alone takes five seconds more each time.
$(STAMP): requirements.lock pyproject.toml
	$(NEED_PYTHON)
ifneq ($(UV),)
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$(PYTHON)" $(VENV)
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
else
	@test -x $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) || \
	  { echo "Python cannot create a virtual environment; on Debian and Ubuntu install the package python3-venv, then try again." >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endif
	@$(BIN)/python -m compileall -q blocks flows tasks
	@touch $@
