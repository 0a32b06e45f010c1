# make help lists the targets; README.md says what to do without make.

WORKSPACE ?= data/demo
CUSTOMERS ?= 2000
SEED      ?= 7
SERVE     ?= 1
PORT      ?= 8866
SPARK_TESTS ?= tests/engine tests/journeys
EVENTS    ?= 10000000
SUBSCRIBERS ?= 10000000
PEOPLE    ?= 1000000
# Example data that is not a part of the project, where it is here.
CXLIB_SHARED ?= $(wildcard ../shared)

# The first Python that is new enough makes the environment; PYTHON=... chooses another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$python && break; done)

# VENV_BIN=/path/to/environment/bin uses an environment that is set up already (conda, for one).
ifdef VENV_BIN
DEMO_READY :=
TEST_READY :=
SPARK_READY :=
else
VENV_BIN   := .venv/bin
DEMO_READY := .venv/.ready-demo
TEST_READY := .venv/.ready-test
SPARK_READY := .venv/.ready-spark
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-spark lint lab bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Variables: CUSTOMERS=$(CUSTOMERS) WORKSPACE=$(WORKSPACE) SEED=$(SEED) SERVE=$(SERVE) PORT=$(PORT) PYTHON=$(PYTHON)"

setup: $(DEMO_READY) ## make the environment in .venv

demo: $(DEMO_READY) ## simulated company -> store -> reports -> dashboards (SERVE=0 stops after the reports)
	@$(VENV_BIN)/cxlib demo --workspace "$(WORKSPACE)" --customers $(CUSTOMERS) --seed $(SEED) \
		--port $(PORT) $(if $(filter 0,$(SERVE)),--no-serve,--serve)

# The tests start Python some hundred times: from modules that stand compiled it starts sooner.
test: export PYTHONDONTWRITEBYTECODE =
test: $(TEST_READY) ## run every test
	@$(VENV_BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-spark: .java $(SPARK_READY) ## run the tests of the measures on a local Spark (needs Java 17 or 21)
	@$(VENV_BIN)/python -m pytest --engine spark -n 2 --dist worksteal $(SPARK_TESTS) $(ARGS)

lint: $(TEST_READY) ## check style, formatting and types
	$(VENV_BIN)/python -m ruff check
	$(VENV_BIN)/python -m ruff format --check
	$(VENV_BIN)/python -m mypy

lab: $(DEMO_READY) ## open JupyterLab on the notebooks and the same store
	@test -e "$(WORKSPACE)/store/CURRENT" || $(MAKE) --no-print-directory demo SERVE=0
	@$(VENV_BIN)/python -m jupyterlab --notebook-dir=.

bench: $(TEST_READY) ## time measures, models and linking (EVENTS= SUBSCRIBERS= PEOPLE= COMPETITORS=1)
	@$(VENV_BIN)/python -m tests.bench.run --events $(EVENTS) \
		$(if $(filter 1,$(COMPETITORS)),--competitors) $(ARGS)
	@$(if $(ARGS),:,$(VENV_BIN)/python -m tests.bench.models --customers $(SUBSCRIBERS))
	@$(if $(ARGS),:,$(VENV_BIN)/python -m tests.bench.identity --records $(PEOPLE) \
		$(if $(CXLIB_SHARED),--shared $(CXLIB_SHARED)))

# The pins of the other locks are those of requirements-dev.lock; UPGRADE=--upgrade renews them.
LOCK = $(VENV_BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-strip-extras --no-emit-index-url --custom-compile-command "make lock"
lock: $(TEST_READY) ## renew the three locks
	$(LOCK) $(UPGRADE) --extra dev --output-file requirements-dev.lock pyproject.toml
	echo "setuptools>=77" | $(LOCK) $(UPGRADE) --constraint requirements-dev.lock \
		--output-file requirements.lock pyproject.toml -
	$(LOCK) $(UPGRADE) --constraint requirements-dev.lock --extra spark \
		--output-file requirements-spark.lock pyproject.toml

clean: ## remove the environment, caches and the demo company
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf data/demo

.venv/.python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "cxlib needs Python 3.11 or newer, and python3 is $$(python3 --version 2>&1);" \
			"install one, or name it: make setup PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "cxlib needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1)" >&2; \
		exit 1; }
	@$(PYTHON) -m venv --clear .venv || { \
		echo "$(PYTHON) cannot make an environment; install its venv module (python3-venv)" >&2; \
		exit 1; }
	@touch $@

# No hash fits the project itself, so it goes in by a second command that fetches nothing.
INSTALL = $(VENV_BIN)/python -m pip install --quiet --disable-pip-version-check
.venv/.ready-demo: .venv/.python requirements.lock pyproject.toml
	@echo "Installing the pinned packages into .venv (a minute or two) ..."
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.ready-test: .venv/.ready-demo requirements-dev.lock
	@echo "Installing the test tools into .venv ..."
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

.venv/.ready-spark: .venv/.ready-test requirements-spark.lock
	@echo "Installing Spark into .venv (430 MB, a minute or two) ..."
	@$(INSTALL) --require-hashes -r requirements-spark.lock
	@touch $@

.java:
	@java="$${JAVA_HOME:+$$JAVA_HOME/bin/}java"; said=$$("$$java" -version 2>&1); \
	case "$$said" in \
	*version\ \"17*|*version\ \"21*) ;; \
	*) echo "Spark needs Java 17 or 21, and '$$java -version' says: $$said; install it (on Debian" \
		"openjdk-17-jre-headless), or set JAVA_HOME to the folder where it is" >&2; exit 1;; esac
