# The commands of this repository; `make help` lists them.

PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --require-hashes
LOCK = $(BIN)/uv pip compile -q --universal --generate-hashes --no-strip-extras --python-version 3.11 --custom-compile-command 'make lock'
AXE := tests/web/node_modules/.package-lock.json
CHECKOV := checkov@3.3.30
SEEDS ?= 100
MINUTES ?= 60
ANSWERS ?= 10000
MODULES ?=
SAMPLE ?=

.PHONY: help demo test test-all test-lowest test-newest check simulate explore hostile mutants bench soak duel image-test template-test systemd-test failover-test door-test lock clean

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

demo: .venv/run ## gists of invented users become deals of an invented Pipedrive; stop it with Ctrl-C
	@$(BIN)/twistd --nodaemon --pidfile= pipetest --sandbox

test: check $(if $(shell command -v npm),$(AXE)) ## all checks and all tests, with coverage
	@command -v promtool || echo "Left out, as there is no promtool (Debian: prometheus): tests/deploy/try_monitoring.py"
	$(BIN)/python -m pytest -n 3 --dist loadgroup -rs --cov --cov-report term tests \
		$(if $(shell command -v promtool),tests/deploy/try_monitoring.py)

test-all: .venv/test ## all tests on each Python that setup.py names, as far as this machine has them
	$(BIN)/python -m tests.pythons

test-lowest: .venv/test ## all tests with the lowest versions that setup.py allows
	$(BIN)/python -m tests.pythons --lowest

test-newest: .venv/test ## some tests on the newest Python that this machine has
	$(BIN)/python -m tests.pythons --newest tests/domain tests/config tests/system/test_demonstration.py

check: .venv/test ## lint, format, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

simulate: .venv/test ## SEEDS=n simulated runs of two days each, full of faults
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

explore: .venv/test ## MINUTES=n run every schedule of small worlds with up to three deviations
	$(BIN)/python -m tests.exploration --deviations 3 --minutes $(MINUTES)

hostile: .venv/test ## ANSWERS=n spoilt answers of a hostile server to the HTTP client
	ANSWERS=$(ANSWERS) $(BIN)/python -m pytest -q tests/http/test_hostile_answers.py

mutants: .venv/mutants ## MODULES=pipetest/ratelimit SAMPLE=n change the code in one place after the other: do its tests notice?
	$(BIN)/python -m tests.mutants $(if $(SAMPLE),--sample=$(SAMPLE)) $(MODULES)

bench: .venv/test ## measure what docs/performance.md says
	$(BIN)/python -m benchmarks

soak: MINUTES = 120
soak: .venv/test ## MINUTES=n one process at a hundred times the normal pace, with all faults on
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

duel: .venv/test ## QUICK=1 pipetest beside what one would take instead, under the same faults
	$(BIN)/python -m duel $(if $(QUICK),--quick)

image-test: .venv/test ## build the image and try it on the Docker engine that runs
	$(BIN)/python -m pytest tests/deploy/try_image.py

template-test: .venv/test ## checkov on the CloudFormation template, in an environment of its own
	$(BIN)/uv tool run --quiet $(CHECKOV) --config-file cloudformation/checkov.yaml

systemd-test: .venv/test ## MACHINE='ssh root@vm' try the unit on a machine with systemd that can be spared
	$(BIN)/python -m pytest tests/deploy/try_systemd.py

failover-test: .venv/test ## kill and freeze instances on one PostgreSQL many times more than `make test` does
	$(BIN)/python -m pytest -q tests/system/try_failover.py

door-test: .venv/test ## 20,000 requests of strangers over TCP and TLS, fifty times more than `make test` sends
	$(BIN)/python -m pytest -q -n 2 tests/system/try_door.py

lock: .venv/test ## move every pinned version to the newest that setup.py and requirements/*.in allow
	$(LOCK) --upgrade requirements/build.in -o requirements/build.txt
	$(LOCK) --upgrade setup.py --extra notify --extra postgres -o requirements/run.txt
	$(LOCK) --upgrade setup.py --extra notify --extra postgres requirements/test.in -c requirements/run.txt -o requirements/test.txt
	$(LOCK) --upgrade requirements/mutants.in -c requirements/test.txt -o requirements/mutants.txt
	for tool in older outbox dlt drt; do \
		$(LOCK) --upgrade duel/requirements-$$tool.in -o duel/requirements-$$tool.txt || exit; \
	done

clean: ## remove what the commands above have made; a database in db/ stays
	rm -rf .venv tests/web/node_modules .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage* build dist *.egg-info

.venv/python:
	$(if $(PYTHON),,$(error pipetest needs Python 3.11 or later, and none was found))
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run: .venv/python setup.py requirements/build.txt requirements/run.txt
	@echo "Installing pipetest and what it needs into .venv ..."
	@$(PIP) -r requirements/build.txt -r requirements/run.txt
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

.venv/test: .venv/run requirements/test.txt
	@echo "Installing what the tests need into .venv ..."
	@$(PIP) -r requirements/test.txt
	@touch $@

.venv/mutants: .venv/test requirements/mutants.txt
	@echo "Installing what changes the code into .venv ..."
	@$(PIP) -r requirements/mutants.txt
	@touch $@

$(AXE): tests/web/package-lock.json
	npm ci --prefix tests/web --silent --no-audit --no-fund
	touch $@
