# `make demo` and `make test` do all their own set-up: a .venv with locked versions, and Apache Kafka's jars.
# Needed beforehand: make, Python 3.11 or later, the network once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests wait about as much as they compute: two processes for each of two cores, each with a broker of its own.
JOBS ?= 4
TOGETHER := $(MAKE) --no-print-directory --jobs 2
PYTEST := $(BIN)/pytest --numprocesses $(JOBS) --dist loadgroup --no-loadscope-reorder --durations 20 --durations-min 5

# The same on any machine: UTF-8 whatever the locale, the virtual environment's own tools, nothing from the user's site.
export PYTHONUTF8 := 1
export PYTHONNOUSERSITE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV
# Some images set it: each of hundreds of processes would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup kafka library demo check lint crate browser prometheus helm apiserver collector test test-long wheel test-containers day chaos simulate bench sbom audit lock clean

help:
	@echo 'make demo    watch it work: a private Kafka, a worker, synthetic parcels, alerts live, the desk (Ctrl-C ends it)'
	@echo 'make check   lint and types alone'
	@echo 'make test    lint, types, and every test, with a real broker'
	@echo 'make test-long   the tests with much repetition: more seeds, examples and faults (before a release)'
	@echo 'make test-containers   tests of image and Compose; as root on Debian with an engine of its own if none answers'
	@echo 'make helm    Helm, once, where Go is: then the other targets test the chart too'
	@echo 'make collector  the Collector of OpenTelemetry, once, where Go is: then the other targets test traces with it too'
	@echo 'make day     the day of an operator: install with TLS and rights, load, upgrade under kills, alerts, a comparison'
	@echo 'make chaos   kill workers and broker while events flow, and compare the alerts (SEED=n FAULTS=n MINUTES=m PROTOCOL=p)'
	@echo 'make simulate  the same in memory, at every step of an epoch (SEED=n SEEDS=n)'
	@echo 'make bench   the benchmarks'
	@echo 'make setup   only what the others need: .venv and Kafka'
	@echo 'make wheel   a wheel in dist/, with the native front end where cargo is there to build it'
	@echo 'make sbom    the bill of materials, in dist/ (CycloneDX)'
	@echo 'make audit   ask PyPI for known vulnerabilities of the locked packages'
	@echo 'make lock    resolve the versions anew (requirements.txt, requirements-dev.txt, Kafka jars)'
	@echo 'make clean   remove what was made here'

# Cargo needs nothing of what pip installs: both work at once.
setup: $(VENV)/bin/python
	@$(TOGETHER) kafka library

kafka: $(VENV)/.installed
	@$(BIN)/python -m streams.ops.broker

library: $(VENV)/bin/python
	@$(BIN)/python -m streams.native build

demo: setup
	$(BIN)/waybill demo

check: setup
	@$(TOGETHER) lint crate

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

crate:
	$(BIN)/python -m streams.native check

test: setup
	@$(TOGETHER) lint crate prometheus
	$(PYTEST)

# For the tests of the desk's pages. Anyone but root is told at the end how many of them did not run.
browser:
	@command -v chromium >/dev/null || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null \
		|| { timeout 60 apt-get update -qq && DEBIAN_FRONTEND=noninteractive timeout 240 \
		apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk; } >/dev/null \
		|| echo 'chromium cannot be installed; the tests of pages in a browser will not run' >&2

# For the tests of what watches workers. Unpacked, not installed: the package would start a server of its own. Anyone
# but root needs apt's lists to be there, and is told at the end how many tests did not run.
prometheus: browser
	@command -v promtool >/dev/null || test -x $(BIN)/promtool || ! command -v apt-get >/dev/null || ( \
		work=$$(mktemp -d) && trap 'rm -rf "$$work"' EXIT && cd "$$work" && chmod 755 . \
		&& { timeout 120 apt-get download -qq prometheus || { timeout 60 apt-get update -qq \
		&& timeout 120 apt-get download -qq prometheus; }; } && dpkg-deb -x prometheus_*.deb . \
		&& cp usr/bin/prometheus usr/bin/promtool '$(CURDIR)/$(BIN)' ) >/dev/null 2>&1 \
		|| echo 'Prometheus cannot be had; the tests of its rules and of dashboards will not run' >&2

# For the tests of its chart, with the checks of Kubernetes' API server. Built from Go's modules, minutes of CPU, and kept;
# so `make test` does not do it, and says how many tests did not run where it was never done.
helm: $(VENV)/.installed
	@$(BIN)/python -m tests.deploy

# The whole API server, for the tests that install the chart on one. Hours on a busy machine; only who asks for it gets it.
apiserver: helm
	@nice -n 19 $(BIN)/python -m tests.deploy apiserver

# OpenTelemetry's Collector, for the tests of traces. Built from Go's modules: half an hour on a busy machine, and kept.
collector: $(VENV)/.installed
	@nice -n 19 $(BIN)/python -m tests.deploy collector

# The same, with all repetition: more seeds, examples and faults. An hour and more; before a release, and after a change
# of transactions, restoring or rebalancing.
test-long: setup
	@$(TOGETHER) lint crate prometheus helm
	WAYBILL_TESTS_LONG=1 $(PYTEST)

# Where no Docker engine answers: one of Debian's packages for as long as they run (as root on Debian).
test-containers: setup
	$(BIN)/python -m tests.containers

# Writes tests/day/RESULTS.md. Twenty minutes, most of which it waits.
day: setup prometheus
	$(BIN)/python -m tests.day

# One run of the chaos harness: SEED=n (without it a fresh one), FAULTS=n or MINUTES=m, PROTOCOL=classic or consumer
# (without it the seed decides). Ends with one line of counts.
chaos: setup
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(PROTOCOL),--protocol $(PROTOCOL))

# Seeds of the simulator: SEEDS=n of them (1,000), counting up from SEED=n (without it from a fresh one).
simulate: setup
	$(BIN)/python -m tests.simulator $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS))

bench: setup
	$(BIN)/python -m benchmarks

# The same bytes for the same commit.
wheel: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1700000000)
wheel: setup
	PYTHONWARNINGS=ignore $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist \
		$$($(BIN)/python -m streams.native wheel-options) .

sbom: setup
	$(BIN)/python -m deploy.sbom

audit: setup
	$(BIN)/pip-audit --disable-pip --require-hashes --requirement requirements.txt

# Two locks, equal in the versions they share: of what runs, which is all that an image holds, and of what develops.
# Each has setuptools, too, which builds the package.
COMPILE := $(BIN)/pip-compile --quiet --upgrade --build-deps-for wheel --generate-hashes --allow-unsafe --strip-extras \
	--no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

lock: setup
	$(COMPILE) --extra broker,otel,parquet,postgres --output-file requirements.txt pyproject.toml
	$(COMPILE) --all-extras --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml
	$(BIN)/python -m streams.ops.broker --lock
	$(BIN)/python -m benchmarks lock
	$(BIN)/python -m streams.native lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian splits ensurepip off into the package python3-venv: root may install it, anyone else is told.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'error: Python 3.11 or later is needed; name it: make PYTHON=/path/to/python3' >&2; exit 1; }
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; \
		else \
			echo 'error: this Python has no venv module. On Debian: apt-get install python3-venv (as root)' >&2; exit 1; \
		fi; \
	fi
	@rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)

# Not compiled: of eleven thousand modules most are never imported, and the others are compiled then.
$(VENV)/.installed: requirements-dev.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --no-compile --require-hashes --requirement requirements-dev.txt
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@
