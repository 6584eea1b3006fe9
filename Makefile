# Posthaste: every command a person needs. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help run test chaos check bench receiver clean

VENV := .venv
# The baselines' packages, so that the product's environment stays clean
VENV_BENCH := .venv-bench
PY := $(VENV)/bin/python
# Extra arguments for `make test`, `make bench` and `make receiver`, e.g. make test ARGS="-k batch"
ARGS ?=

help: ## this list
	@echo "Posthaste"; echo
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; echo "  PORT, WS_PORT, DATABASE_URL, BROKER_URL and REDIS_URL change where make run listens and what it uses."

run: $(VENV)/.run-installed node_modules/.installed ## install what is missing, start everything here, print the addresses
	@exec $(PY) -m deploy.local

test: $(VENV)/.dev-installed node_modules/.installed ## the whole suite on PostgreSQL, RabbitMQ, Redis, and on the embedded stack
	@exec $(PY) -m tests.run $(ARGS)

chaos: $(VENV)/.dev-installed ## kills, stops and cuts off every part under load, several times each, and closes the books
	@CHAOS_STRIKES=$${CHAOS_STRIKES:-3} exec $(PY) -m tests.run --hours 8 --stack production tests/chaos $(ARGS)

check: $(VENV)/.dev-installed ## linter, types, templates, import layers, missing migrations, deployment check
	@exec $(PY) -m tests.check

bench: $(VENV)/.dev-installed $(VENV_BENCH)/.installed ## measurements, each with the baseline it is compared to
	@exec $(PY) -m benchmarks.run $(ARGS)

receiver: $(VENV)/.dev-installed ## a local SMTP server and HTTP gateway to send to, printing what arrives
	@exec $(PY) -m tests.peers.receiver $(ARGS)

clean: ## remove the local stack's data, logs and secrets (.local)
	@sh deploy/install.sh clean

$(VENV)/.run-installed: requirements.txt deploy/install.sh
	@sh deploy/install.sh python requirements.txt
	@touch $@

$(VENV)/.dev-installed: requirements-dev.txt requirements.txt deploy/install.sh
	@sh deploy/install.sh python requirements-dev.txt
	@touch $@ $(VENV)/.run-installed

$(VENV_BENCH)/.installed: requirements-bench.txt $(VENV)/.dev-installed
	@echo "Installing requirements-bench.txt into $(VENV_BENCH)"
	@$(PY) -m venv --clear $(VENV_BENCH) && echo '*' > $(VENV_BENCH)/.gitignore
	@$(VENV_BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r requirements-bench.txt
	@touch $@

node_modules/.installed: package-lock.json package.json $(VENV)/.run-installed
	@sh deploy/install.sh node
	@touch $@
