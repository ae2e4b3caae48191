# Every chore of the project; CI calls the same targets. `make help` lists them.
# Needed: make, a POSIX shell and Python 3.11 or newer with venv. Everything else comes by pip.

.DEFAULT_GOAL := help
.PHONY: help run dev test test-fast coverage check hooks faults faults-sample soak lint types audit lock \
	screenshots bench build sbom clean
.DELETE_ON_ERROR:

# The first of these that is 3.11 or newer; or say which: make run PYTHON=/opt/python/bin/python3
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	if "$$python" -c '$(NEW_ENOUGH)' >/dev/null 2>&1; then command -v "$$python"; break; fi; done)

# Passed on: make run ARGS='--port 9000', make test PYTEST_ARGS='-k sandbox'
ARGS ?=
PYTEST_ARGS ?= -n 2 --dist worksteal
# Images of containers set it. Here Python starts a thousand times, and would compile all each time.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Every distribution is checked against the hashes of a lock file. So are the tools of the build:
# pip would fetch them unchecked for a build in isolation.
LOCKED := $(PIP) --require-hashes --no-deps -r
EDITABLE := $(PIP) --no-deps --no-build-isolation -e .
LOCKS := $(wildcard requirements/*.lock)
BUILD_LOCKS := requirements/build.lock $(if $(shell command -v npm),,-r requirements/node.lock)

# What an editable install depends on. Python sources are not among it: they are used in place.
FRONTEND := $(shell find frontend -name node_modules -prune -o -type f -print)
INPUTS := $(VENV)/pyvenv.cfg pyproject.toml $(LOCKS) hatch_build.py $(FRONTEND)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## Install what is missing, then start UMS
	@exec $(BIN)/ums serve $(ARGS)

# Its data folder is its own; a change of a source starts UMS anew, one of the frontend builds it.
dev: export UMS_DATA_DIR := var/dev
dev: export UMS_ADMIN_PASSWORD := green harbour lantern
dev: $(VENV)/.installed-dev ## Run UMS on made-up data, and start it anew on each change
	@[ -e $(UMS_DATA_DIR)/ums.db ] || $(BIN)/ums dev seed --users 5000 --messages 300
	@echo 'Log in as admin, password: $(UMS_ADMIN_PASSWORD)'
	@$(BIN)/watchfiles --target-type command --ignore-paths src/ums/console/static \
	"sh -c '$(MAKE) -s $(VENV)/.installed-dev && exec $(BIN)/ums serve $(ARGS)'" src/ums frontend/src

test: $(VENV)/.installed-dev ## Run all tests but the fault runs
	$(BIN)/python -m pytest -m 'not faults' $(PYTEST_ARGS)

test-fast: $(VENV)/.installed-dev ## Run the quick tests of every package, on SQLite (a minute)
	$(BIN)/python -m pytest --fast $(PYTEST_ARGS)

check: $(VENV)/.installed-dev ## Lint, types and tests of one file: make check FILE=src/ums/...
	@$(BIN)/python tools/check.py $(FILE)

coverage: $(VENV)/.installed-dev ## Run all tests but the fault runs, and measure what they reach
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m 'not faults' $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

hooks: $(VENV)/.installed-dev ## Check what is committed and pushed, from now on
	$(BIN)/pre-commit install --hook-type pre-commit --hook-type pre-push

faults: $(VENV)/.installed-dev ## Kill UMS thousands of times, and write down what was counted
	$(BIN)/python -m pytest tests/faults -n 2 --dist worksteal --kills 1000 --phase-kills 50 --web-kills 200 --stops 200 \
	--power-cuts 200 --outage 600 --targets --record docs/fault-results.md $(ARGS)

faults-sample: $(VENV)/.installed-dev ## Each of the fault runs with few kills, as CI does
	$(BIN)/python -m pytest tests/faults -n 2 --dist worksteal --kills 25 --phase-kills 1 --web-kills 3 --stops 1 \
	--power-cuts 3 --outage 3 $(ARGS)

soak: $(VENV)/.installed-dev ## Two hours of mail with one fault after the other, on both databases
	$(BIN)/python -m pytest tests/faults/test_soak.py -n 2 --soak 120 --record docs/soak-results.md $(ARGS)

lint: $(VENV)/.installed-dev types ## Check style, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.installed-dev ## Check the types alone (TypeScript too where npm is present)
	$(BIN)/basedpyright
	@if command -v npm >/dev/null; then cd frontend && \
	{ [ -d node_modules/typescript ] || npm ci; } && npm run check; \
	else echo 'npm is not here: the TypeScript modules go unchecked'; fi

screenshots: $(VENV)/.installed-dev ## Make the documentation's pictures of the console anew
	$(BIN)/python -m pytest -q -n 2 tests/console/test_pages.py --screenshots docs/images/console

bench: $(VENV)/.installed-dev ## Measure, against references in the same run
	$(BIN)/python -m benchmarks $(ARGS)

audit: $(VENV)/.installed-release ## Look for known holes in what the lock files name
	$(BIN)/python requirements/audit.py $(LOCKS)

lock: $(VENV)/.installed-release ## Write the lock files anew (UPGRADE=1 takes newer versions)
	$(BIN)/python requirements/lock.py $(if $(UPGRADE),--upgrade)

build: $(VENV)/.installed-dev sbom ## Build the wheel, the sdist and the SBOM into dist/
	rm -f dist/*.whl dist/*.tar.gz
	$(BIN)/python -m build --no-isolation --outdir dist

sbom: $(VENV)/.installed-release ## Write the bill of materials (CycloneDX) into dist/
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application \
	--output-reproducible --of JSON -o dist/ums.cdx.json requirements/run.lock

clean: ## Remove what make made (never your data)
	rm -rf $(VENV) dist build frontend/node_modules src/ums/console/static
	rm -rf .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || { \
		echo 'UMS needs Python 3.11 or newer, and this machine shows none.' >&2; \
		echo 'Install one, or say where it is: make run PYTHON=/path/to/python3' >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo 'No virtual environment could be made: is the venv module there?' >&2; \
		echo '(on Debian and Ubuntu: apt install python3-venv)' >&2; exit 1; }

$(VENV)/.installed: $(INPUTS)
	@echo 'Installing UMS into $(VENV) ...'
	@$(LOCKED) requirements/run.lock -r $(BUILD_LOCKS)
	@$(EDITABLE)
	@touch $@

$(VENV)/.installed-dev: $(INPUTS)
	@echo 'Installing UMS and the tools of its developers into $(VENV) ...'
	@$(LOCKED) requirements/dev.lock -r $(BUILD_LOCKS)
	@$(EDITABLE)
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-release: $(VENV)/.installed-dev
	@echo 'Installing the tools of a release into $(VENV) ...'
	@$(LOCKED) requirements/release.lock
	@touch $@
