# All commands of the project. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help run test chaos check bench bench-intents receiver clean

VENV := .venv
# A separate environment for the packages of the benchmark baselines
VENV_BENCH := .venv-bench
PY := $(VENV)/bin/python
# Extra arguments for `make test`, `make bench`, `make bench-intents` and `make receiver`, e.g. make test ARGS="-k batch"
ARGS ?=
# Where `make bench-intents` finds its data
INTENT_DATA ?=

help: ## list the commands
	@echo "Posthaste"; echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; echo "  Set PORT, WS_PORT, DATABASE_URL, BROKER_URL or REDIS_URL to change where make run listens and what it uses."

run: $(VENV)/.run-installed node_modules/.installed ## install dependencies, start everything locally, print the addresses
	@exec $(PY) -m deploy.local

test: $(VENV)/.dev-installed node_modules/.installed ## run the full suite on PostgreSQL, RabbitMQ, Redis, and on the embedded stack
	@exec $(PY) -m tests.run $(ARGS)

chaos: $(VENV)/.dev-installed ## kill, stop and cut off every part under load, several times each, and account for all messages
	@CHAOS_STRIKES=$${CHAOS_STRIKES:-3} exec $(PY) -m tests.run --hours 8 --stack production tests/chaos $(ARGS)

check: $(VENV)/.dev-installed ## run linter, type checker, template linter, import layers, migration and deployment checks
	@exec $(PY) -m tests.check

bench: $(VENV)/.dev-installed $(VENV_BENCH)/.installed ## run the benchmarks, each with its baseline
	@exec $(PY) -m benchmarks.run $(ARGS)

bench-intents: $(VENV)/.dev-installed ## cross-validate intent recognition on the CSV files of a folder: make bench-intents INTENT_DATA=FOLDER
	@test -n "$(INTENT_DATA)" || { echo "Set INTENT_DATA to the folder of banking77_train.csv, clinc150_train.csv and clinc150_val.csv." >&2; exit 2; }
	@exec $(PY) -m benchmarks.intents "$(INTENT_DATA)" $(ARGS)

receiver: $(VENV)/.dev-installed ## start a local SMTP server and HTTP gateway that print what they receive
	@exec $(PY) -m tests.peers.receiver $(ARGS)

clean: ## delete the local stack's data, logs and secrets (.local)
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
