# The whole loop, raw files to a trained model. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# The interpreter itself, also when make runs inside the environment that it may have to remake.
PYTHON ?= $(shell $$(command -v python3.11 || command -v python3) -c 'import sys; print(sys._base_executable)')
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
export PATH := $(BIN):$(PATH)

# What the sample data covers ends with 2013, so loading the online store names its range.
SERVE_FROM := 2013-12-01T00:00:00
SERVE_UNTIL := 2014-01-01T00:00:00
# The example model is judged on flights asked for from here on.
SERVICE := late_arrival_prediction
TEST_FROM := 2013-10-01

LOCKED := .venv/.locked
INSTALLED := .venv/.installed
EXTRAS_INSTALLED := $(addprefix .venv/.,spark dagster prefect)
RESOLVE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-emit-index-url --no-annotate --no-header --quiet
LOCKED_TOGETHER := .venv/together.lock
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)
DBT_PACKAGE := dbt_packages/martfeast/dbt_project.yml
LANDED := data/landed/current/landing.json
STAMPS := data/stamps
BUILT := target/manifest.json data/warehouse.duckdb data/published/current.json
REPORT := $(addprefix data/report/,report.json report.md fairness.json fairness.md calibration.png \
	precision_recall.png)
DBT_FILES := dbt_project.yml profiles.yml packages.yml \
	$(shell find models macros seeds tests/data_tests python/martfeast/dbt_package -type f)
PACKAGE_FILES := $(shell find python/martfeast -name "*.py")
FEAST_FILES := $(wildcard feature_repo/*.py feature_repo/*.yaml) $(PACKAGE_FILES)

say = @printf '\n\033[1m%s\033[0m\n' "$(1)"

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: run
run: land ## The whole loop: install, land, build, apply, materialize, train, docs, site, summary
	@$(MAKE) --no-print-directory $(STAMPS)/trained $(STAMPS)/site
	@$(BIN)/python -m nyc_flights.summary

.PHONY: install
install: $(INSTALLED) $(DBT_PACKAGE) ## Make the environment from the hash-pinned lock

.PHONY: land
land: install ## Write the sample data as typed Parquet under data/landed
	$(call say,Landing the sample data)
	@$(BIN)/python -m nyc_flights.landing

.PHONY: build
build: land ## dbt build: marts, tests, and the Parquet that Feast reads
	@$(MAKE) --no-print-directory $(STAMPS)/built

.PHONY: replay
replay: land ## martfeast replay: show that no mart ever knew the future
	@$(MAKE) --no-print-directory $(STAMPS)/replayed

.PHONY: apply
apply: land ## feast apply: feature views and services from the marts
	@$(MAKE) --no-print-directory $(STAMPS)/applied

.PHONY: dataset
dataset: land ## martfeast dataset: the training set, with its card
	@$(MAKE) --no-print-directory $(STAMPS)/dataset

.PHONY: train
train: land ## Train and judge the example model, by groups too
	@$(MAKE) --no-print-directory $(STAMPS)/trained

.PHONY: docs
docs: land ## The dbt docs site as one file, target/static_index.html
	@$(MAKE) --no-print-directory $(STAMPS)/documented

.PHONY: site
site: land ## martfeast site: features, evidence and owners as HTML, data/site/index.html
	@$(MAKE) --no-print-directory $(STAMPS)/site

.PHONY: lint
lint: dagster prefect $(DBT_PACKAGE) ## sqlfluff, ruff, mypy (by the types of all extras but Spark), import-linter
	$(call say,Lint)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint-python lint-sql

.PHONY: lint-python
lint-python:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy
	@$(BIN)/mypy tests --cache-dir .mypy_cache/tests --allow-untyped-defs \
		--allow-incomplete-defs --allow-untyped-calls --no-warn-return-any

.PHONY: lint-sql
lint-sql:
	@$(BIN)/sqlfluff lint models tests/data_tests --disable-progress-bar
	@$(BIN)/sqlfluff lint python/martfeast/dbt_package --disable-progress-bar \
		--templater jinja --exclude-rules LT02,LT05,ST06,RF04
	@$(BIN)/python tests/dbt_package/lint_statements.py

# Install a package of Debian's unless its command is there: command, package, name.
define debian
	@command -v $(1) >/dev/null || { \
		echo "Installing $(3) with apt-get"; \
		$(AS_ROOT) apt-get update -qq && \
		$(AS_ROOT) apt-get install -qq --yes --no-install-recommends $(2) >/dev/null; }
endef

.PHONY: browser
browser: ## Install Debian's Chromium, in which dataset cards are tested, unless it is there
	$(call debian,chromium,chromium,Chromium)

.PHONY: java
java: ## Install Debian's Java 17, on which Spark runs, unless it is there
	$(call debian,java,openjdk-17-jre-headless,Java 17)

.PHONY: spark
spark: java .venv/.spark ## Add Spark to the environment: martfeast[spark], and Java

.PHONY: dagster
dagster: .venv/.dagster ## Add Dagster to the environment: martfeast[dagster]

.PHONY: prefect
prefect: .venv/.prefect ## Add Prefect to the environment: martfeast[prefect]

.PHONY: test
test: lint browser spark dagster prefect ## Everything CI runs: lint, and pytest, which builds both projects with dbt
	$(call say,pytest)
	@$(BIN)/pytest

.PHONY: run-spark
run-spark: land spark ## The loop with marts that Spark builds: build, publish, gate, apply, a training set
	@$(BIN)/python -m nyc_flights.spark_run

.PHONY: run-dagster
run-dagster: land dagster ## The flights run by Dagster, in process and by its web server
	@$(BIN)/python -m nyc_flights.dagster_run

.PHONY: run-prefect
run-prefect: land prefect ## The flights run by Prefect, in process and served, with its API up
	@$(BIN)/python -m nyc_flights.prefect_run

.PHONY: parity
parity: land spark ## Build on Spark too, and compare every table with DuckDB's, row by row
	@$(MAKE) --no-print-directory $(STAMPS)/built
	$(call say,Parity)
	@$(BIN)/python -m nyc_flights.parity

.PHONY: pictures
pictures: run browser ## Draw the README's pictures anew
	@$(BIN)/python docs/pictures/draw.py

.PHONY: test-fast
test-fast: install ## Tests that need a dbt parse at most: under a minute
	@$(BIN)/pytest -m fast

.PHONY: coverage
coverage: install browser spark dagster prefect ## Branch coverage of python/martfeast by the whole suite, to read
	@$(BIN)/pytest --cov=martfeast --cov-branch --cov-report=term-missing:skip-covered

.PHONY: measure
measure: install ## Measure time and memory into benchmarks/README.md
	@$(BIN)/python benchmarks/measure_run.py

.PHONY: measure-store
measure-store: $(STAMPS)/applied ## Measure the offline store into benchmarks/offline_store.md
	@$(BIN)/python benchmarks/offline_store.py

.PHONY: measure-spark-store
measure-spark-store: spark ## Measure the Spark store into benchmarks/spark_store.md
	@$(BIN)/python benchmarks/spark_store.py

.PHONY: measure-spark
measure-spark: spark ## Measure builds of 1 to 10 years on DuckDB and Spark into benchmarks/spark.md
	@$(BIN)/python benchmarks/spark.py

.PHONY: measure-replay
measure-replay: $(STAMPS)/built ## Measure replays into benchmarks/replay.md
	@$(BIN)/python benchmarks/replay.py

.PHONY: measure-dataset
measure-dataset: install ## Measure datasets of up to ten million rows into benchmarks/dataset.md
	@$(BIN)/python benchmarks/dataset.py

.PHONY: measure-scale
measure-scale: install ## Measure up to 200 marts and 2,000 features into benchmarks/scale.md
	@$(BIN)/python benchmarks/scale.py

.PHONY: measure-increments
measure-increments: install ## Measure one more day of the flights into benchmarks/increments.md
	@$(BIN)/python benchmarks/increments.py

.PHONY: measure-partitions
measure-partitions: install ## Measure publishing of one more day into benchmarks/partitions.md
	@$(BIN)/python benchmarks/partitions.py

.PHONY: measure-site
measure-site: install browser ## Measure the site of 10,000 features; what it prints goes into benchmarks/site.md
	@$(BIN)/python benchmarks/site.py

.PHONY: lock
lock: install ## Resolve the locks anew from pyproject.toml, so that all of them can be installed together
	@$(RESOLVE) --upgrade --all-extras --output-file $(LOCKED_TOGETHER)
	@$(RESOLVE) --constraint $(LOCKED_TOGETHER) $(addprefix --extra ,datasets fairness flights openlineage dev) \
		--output-file requirements.lock
	@for extra in spark dagster prefect; do \
		$(RESOLVE) --constraint $(LOCKED_TOGETHER) --extra $$extra \
			--output-file requirements-$$extra.lock; done
	@rm $(LOCKED_TOGETHER)

.PHONY: clean
clean: ## Remove all that was built; keep the environment
	@rm -rf target logs feature_repo/data feature_repo/spark/data
	@find data -mindepth 1 ! -name .gitignore -delete

$(LOCKED): requirements.lock
	$(call say,Making the environment in .venv from requirements.lock)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 is needed and '$(PYTHON)' is not it." \
			"Install it, then run: make PYTHON=/path/to/python3.11 run" >&2; exit 1; }
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --disable-pip-version-check install --progress-bar off \
		--require-hashes -r requirements.lock
	@touch $@

$(INSTALLED): pyproject.toml $(LOCKED)
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet \
		--no-deps --no-build-isolation --editable .
	@touch $@

# The locks are whole, and agree: what one asks for beyond its own is in the other.
$(EXTRAS_INSTALLED): .venv/.%: requirements-%.lock $(INSTALLED)
	$(call say,Adding $* to the environment from requirements-$*.lock)
	@$(BIN)/python -m pip --disable-pip-version-check install --progress-bar off --quiet \
		--no-deps --require-hashes -r requirements-$*.lock
	@touch $@

$(DBT_PACKAGE): packages.yml | $(INSTALLED)
	@$(BIN)/dbt --quiet deps
	@test -e $@

# What a step leaves behind and is gone makes the step run again, whatever the stamps say.
missing = $(if $(filter-out $(wildcard $(1)),$(1)),always)
.PHONY: always

$(STAMPS)/built: $(DBT_FILES) $(LANDED) $(call missing,$(BUILT)) | $(INSTALLED) $(DBT_PACKAGE)
	$(call say,dbt build)
	@$(BIN)/dbt build
	@mkdir -p $(@D) && cp target/run_results.json $(@D)/build_results.json && touch $@

$(STAMPS)/replayed: $(STAMPS)/built $(wildcard data/published/current.json) \
		$(PACKAGE_FILES) $(call missing,data/published/replays.json)
	$(call say,martfeast replay)
	@$(BIN)/martfeast replay
	@touch $@

$(STAMPS)/applied: $(STAMPS)/replayed $(FEAST_FILES) \
		$(call missing,feature_repo/data/registry.db)
	$(call say,feast apply)
	@cd feature_repo && $(BIN)/feast apply
	@touch $@

$(STAMPS)/materialized: $(STAMPS)/applied $(call missing,feature_repo/data/online_store.db)
	$(call say,feast materialize)
	@cd feature_repo && $(BIN)/feast materialize $(SERVE_FROM) $(SERVE_UNTIL)
	@touch $@

$(STAMPS)/dataset: $(STAMPS)/materialized $(call missing,data/datasets/$(SERVICE))
	$(call say,martfeast dataset)
	@$(BIN)/martfeast dataset $(SERVICE) --test-from $(TEST_FROM)
	@touch $@

$(STAMPS)/trained: $(STAMPS)/dataset python/nyc_flights/training.py $(call missing,$(REPORT))
	$(call say,Example model)
	@$(BIN)/python -m nyc_flights.training
	@touch $@

$(STAMPS)/documented: $(STAMPS)/built $(call missing,target/static_index.html)
	$(call say,dbt docs)
	@$(BIN)/dbt --quiet docs generate --static
	@touch $@

$(STAMPS)/site: $(STAMPS)/documented $(STAMPS)/dataset $(call missing,data/site/index.html)
	$(call say,martfeast site)
	@$(BIN)/martfeast site
	@touch $@
