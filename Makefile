PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

THROUGH_RABBITMQ := tests/core/test_rabbit.py tests/workers tests/cli/commands/test_dlq.py tests/cli/commands/test_worker.py \
  tests/faults/test_usage_deliveries.py tests/faults/test_usage_kills.py

WORKERS ?= 3
EXACT := */rules.py,*/keys/secrets.py,*/audit/record.py,*/billing/components.py,*/billing/decimals.py,*/billing/fees.py,*/billing/invoice_lines.py,*/billing/parse_tariff.py,*/billing/prorate.py,*/billing/rate.py,*/billing/tariff.py

.DEFAULT_GOAL := help
.PHONY: help run test test-fast cover check fmt bench walks faults broker4 lock screenshots

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

run: $(INSTALLED) ## Run the portal with demo data on http://127.0.0.1:8000
	$(BIN)/portal run --demo

test: check browser broker servers strace ## Check everything, then run every test; what fails beside others must pass alone
	$(BIN)/pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder || { \
	  [ $$? -eq 1 ] && echo "What failed beside other tests, once more and alone:" && \
	  $(BIN)/pytest --last-failed --last-failed-no-failures none; }

cover: check browser broker servers strace ## Every test again, measured: all of it, then rules and money, each with its own floor
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --skip-empty --fail-under=95
	$(BIN)/coverage report --include='$(EXACT)' --fail-under=100

test-fast: check ## Lint, types, contracts, tests without servers and one a domain with them
	$(BIN)/pytest -q -n $(WORKERS) --dist loadscope --no-loadscope-reorder -m "fast or not server"

check: $(INSTALLED) ## Format, lint, types and import order
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.architecture.words

fmt: $(INSTALLED) ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED) broker ## Measure the check (results under bench/results)
	$(BIN)/python -m bench

walks: $(INSTALLED) ## Which files a check, a mutation and the pages enter, beside their guides
	$(BIN)/python -m tests.walks

faults: $(INSTALLED) broker servers strace ## The long form of the fault tests, with a report under build/faults
	PORTAL_FAULTS=long $(BIN)/pytest tests/faults tests/graphql/engine/test_fuzz.py tests/web/graphql/test_fuzz.py -s
	$(MAKE) broker4

broker4: $(INSTALLED) ## What goes through RabbitMQ again, on RabbitMQ 4 (Debian 13 under build, as root)
	@tests/install_broker4.sh build/trixie
	PORTAL_TEST_RABBITMQ_ROOT=build/trixie $(BIN)/pytest $(THROUGH_RABBITMQ)

screenshots: $(INSTALLED) browser ## Every page, light and dark, wide and narrow, into build/screenshots; the README's into docs
	$(BIN)/python -m tests.e2e.screenshots build/screenshots
	cp build/screenshots/overview-light-1280.png docs/screenshots/overview-light.png
	cp build/screenshots/overview-dark-1280.png docs/screenshots/overview-dark.png

lock: $(INSTALLED) ## Resolve requirements.lock anew from pyproject.toml
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --python-version 3.11 --all-extras pyproject.toml -o requirements.lock

.PHONY: browser broker servers strace
browser:
	@tests/install_browser.sh

broker:
	@tests/install_broker.sh

servers:
	@tests/install_servers.sh

strace:
	@tests/install_strace.sh

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
