# The two commands: `make nightly` runs one night on real data, `make test` lints and tests. `make help` lists the rest.
# What they need is set up on the way, under .venv/ and var/.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

SOURCE ?= complete_journey
DATA ?=
# the last full day of the default source; with another one it has to be given
DAY ?= $(if $(filter complete_journey,$(SOURCE)),2017-12-31)
# each source keeps its lake, models and key to itself
STATE ?= $(CURDIR)/var$(if $(filter-out complete_journey,$(SOURCE)),/$(SOURCE))
AIRFLOW_PORT ?= 8080
MLFLOW_PORT ?= 5000

# --- the environment of every job, the same under make, Airflow and the tests; what is set already wins

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export NIGHT_SOURCE := $(SOURCE)
export NIGHT_DATA := $(if $(wildcard $(DATA)),$(abspath $(DATA)),$(DATA))
export NIGHT_LAKE ?= $(STATE)/lake
export NIGHT_PAGES ?= $(STATE)/pages
export NIGHT_DOCS ?= $(STATE)/data_docs
export NIGHT_CHECKPOINTS ?= $(STATE)/checkpoints
export NIGHT_JARS ?= $(CURDIR)/var/jars
export NIGHT_RECIPE ?= cpu
export NIGHT_PSEUDONYM_KEY ?= $(shell cat $(STATE)/key 2>/dev/null)
export MLFLOW_TRACKING_URI ?= sqlite:///$(STATE)/mlflow.db
export PYSPARK_PYTHON ?= $(CURDIR)/.venv/bin/python
export PYTHONUNBUFFERED := 1
# a start compiles ten thousand files of torch, DeepSpeed and Airflow if it may not keep what it compiled
unexport PYTHONDONTWRITEBYTECODE
export SPARK_LOCAL_IP ?= 127.0.0.1
export AIRFLOW_HOME ?= $(CURDIR)/var/airflow
export AIRFLOW_CONN_SPARK_DEFAULT ?= {"conn_type": "spark", "host": "local[*]"}
export AIRFLOW__CORE__DAGS_FOLDER := $(CURDIR)/dags
export AIRFLOW__CORE__LOAD_EXAMPLES := False
export AIRFLOW__CORE__PARALLELISM ?= 4
export AIRFLOW__CORE__EXECUTION_API_SERVER_URL := http://127.0.0.1:$(AIRFLOW_PORT)/execution/
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS := True
export AIRFLOW__API__HOST := 127.0.0.1
export AIRFLOW__API__PORT := $(AIRFLOW_PORT)
export AIRFLOW__API__BASE_URL := http://127.0.0.1:$(AIRFLOW_PORT)
# nothing calls home
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED := False
export MLFLOW_DISABLE_TELEMETRY := true
# MLflow's workers for judging language models: three processes that would have nothing to do
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION := false
export DO_NOT_TRACK := 1
export MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR := false
ifeq ($(wildcard /dev/nvidia0),)
export DS_ACCELERATOR ?= cpu
endif

.PHONY: help nightly backfill train test lint format up down setup state prerequisites lock shell clean

help: ## this list
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

# --- the night

nightly: setup state ## one night through the Airflow DAG; also DAY=2017-12-24, or SOURCE=folder DATA=/my/shop DAY=…
	@: $(or $(DAY),$(error DAY is missing: the last day of this source that the night may see, such as DAY=2024-06-30))
	@mkdir -p $(STATE)/logs
	@echo "The night of $(DAY), source $(SOURCE); the whole log goes to $(STATE)/logs/nightly-$(DAY).log"
	@$(QUIETLY) airflow dags test nightly $(DAY) 2>&1 | tee $(STATE)/logs/nightly-$(DAY).log | $(PROGRESS)

backfill: setup state ## the nights FROM=2017-12-24 TO=2017-12-26, in order, up to the first that fails
	@: $(or $(and $(FROM),$(TO)),$(error FROM or TO is missing: make backfill FROM=2017-12-24 TO=2017-12-26))
	@days=$$(python -c 'import sys; from datetime import date, timedelta; \
	  first, last = map(date.fromisoformat, sys.argv[1:]); \
	  print(*(first + timedelta(n) for n in range((last - first).days + 1)))' $(FROM) $(TO)); \
	[ -n "$$days" ] || { echo "no nights from $(FROM) to $(TO)" >&2; exit 1; }; \
	for day in $$days; do $(MAKE) nightly DAY=$$day; done

train: setup state ## the weekly training, by hand, on a night that was run: DAY=…
	@mkdir -p $(STATE)/logs
	@$(QUIETLY) airflow dags test training $(DAY) 2>&1 | tee $(STATE)/logs/training-$(DAY).log | $(PROGRESS)

# the jobs' own lines, without Airflow's about itself; what is left of its noise and of stack traces goes in PROGRESS
QUIETLY = AIRFLOW__LOGGING__LOG_FORMAT='%(message)s' \
  AIRFLOW__LOGGING__NAMESPACE_LEVELS='airflow=WARNING airflow.task.hooks=INFO task=WARNING'
PROGRESS = sed -uE \
  -e '/^[0-9/]{8} [0-9:]{8} INFO |^Using Spark.s default log4j|graphviz/d' \
  -e '/incubator modules|native-hadoop|lazily-loaded|unrunnable tasks|\[DAG TEST\] (running|end)/d' \
  -e '/^(Spark-Submit cmd|Tmp dir root|Running command|Output:$$|Command exited)/d' \
  -e '/^Traceback/,/^[^ T]/{/^[ T]/d}; /^(at |\.\.\. [0-9]+ more)/d' \
  -e 's/^\[DAG TEST\] starting task_id=(\S+).*/== \1/'

# --- the code

# the tests make a lake, a registry and a key of their own
test: lint ## lint, then all tests
	@env -u NIGHT_LAKE -u NIGHT_PAGES -u NIGHT_DOCS -u NIGHT_PSEUDONYM_KEY -u MLFLOW_TRACKING_URI -u AIRFLOW_HOME python -m pytest

lint: setup ## check style and formatting; changes nothing
	@ruff check .
	@ruff format --check .

format: setup ## edit the code into shape
	@ruff check --fix .
	@ruff format .

# --- servers for people, on loopback

up: setup state ## Airflow with its scheduler, and MLflow's pages; AIRFLOW_PORT=8080 MLFLOW_PORT=5000
	@$(call start,mlflow,mlflow server --backend-store-uri $(MLFLOW_TRACKING_URI) --port $(MLFLOW_PORT) --workers 1)
	@$(call start,airflow-api,airflow api-server --workers 1)
	@$(call start,airflow-dag-processor,airflow dag-processor)
	@$(call start,airflow-scheduler,airflow scheduler --skip-serve-logs)
	@$(call await,http://127.0.0.1:$(MLFLOW_PORT)/health,mlflow)
	@$(call await,http://127.0.0.1:$(AIRFLOW_PORT)/api/v2/monitor/health,airflow-api)
	@echo "Airflow  http://127.0.0.1:$(AIRFLOW_PORT)   no login; a DAG that is switched on runs by its schedule"
	@echo "MLflow   http://127.0.0.1:$(MLFLOW_PORT)"
	@echo "make down stops both"

down: ## stop what make up started
	@for pid in $$(ls var/run/*.pid 2>/dev/null); do $(call stop,$$pid); done

# stop PIDFILE: ask the process group to end, and after fifteen seconds end it
define stop
group=$$(cat $(1)); kill -- -$$group 2>/dev/null || true; \
  for half in {1..30}; do kill -0 -- -$$group 2>/dev/null || break; sleep 0.5; done; \
  kill -9 -- -$$group 2>/dev/null || true; rm $(1); echo "$$(basename $(1) .pid) stopped"
endef
# start NAME COMMAND: in a process group of its own, so that down ends its children too
define start
pid=var/run/$(1).pid; mkdir -p var/run var/logs; \
if [ -f $$pid ] && kill -0 -- -$$(cat $$pid) 2>/dev/null; then echo "$(1) is up already"; \
else setsid $(2) >var/logs/$(1).log 2>&1 </dev/null & echo $$! >$$pid; fi
endef
# await ADDRESS NAME: until it answers, at most five minutes
define await
echo "waiting for $(2)"; for second in {1..300}; do curl -fs -o /dev/null $(1) && exit 0; sleep 1; done; \
  echo "$(2) did not come up in five minutes: see var/logs/$(2).log" >&2; exit 1
endef

# --- setting up; each step leaves a stamp, so that the next time is instant

setup: .venv/installed var/jars/stamp ## everything the other commands need; they call it

prerequisites:
	@.ci/prerequisites

var/uv/bin/uv: requirements.lock | prerequisites
	@echo "setting up: uv"
	@rm -rf var/uv && mkdir -p var && python3.11 -m venv var/uv
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > var/uv/uv.lock
	@var/uv/bin/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps -r var/uv/uv.lock
	@touch $@

export UV_PYTHON_DOWNLOADS := never
.venv/packages: var/uv/bin/uv requirements.lock
	@echo "setting up: Python packages (about 7 GB with torch's CUDA build)"
	@[ -x .venv/bin/python ] || var/uv/bin/uv venv -q --python python3.11 .venv
	@var/uv/bin/uv pip sync --python .venv/bin/python --require-hashes requirements.lock
	@touch $@

.venv/installed: .venv/packages pyproject.toml
	@var/uv/bin/uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
	@touch $@

var/jars/stamp: jobs/jars.py | .venv/packages
	@echo "setting up: Delta's JARs"
	@python -m jobs.jars var/jars
	@touch $@

state: $(STATE)/key $(AIRFLOW_HOME)/pool

# user ids become pseudonyms under this key; whoever loses it can't join new nights to old ones
$(STATE)/key:
	@mkdir -p $(STATE) && umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > $@

$(AIRFLOW_HOME)/migrated: requirements.lock | .venv/installed
	@echo "setting up: Airflow's database"
	@mkdir -p $(AIRFLOW_HOME)
	@airflow db migrate > $(AIRFLOW_HOME)/migrate.log 2>&1 || { cat $(AIRFLOW_HOME)/migrate.log; exit 1; }
	@touch $@

# what writes the lake takes its one slot
$(AIRFLOW_HOME)/pool: | $(AIRFLOW_HOME)/migrated
	@airflow pools set lake 1 "who writes the lake" >> $(AIRFLOW_HOME)/migrate.log 2>&1 || { cat $(AIRFLOW_HOME)/migrate.log; exit 1; }
	@touch $@

lock: .venv/installed ## resolve pyproject.toml anew into requirements.lock, which holds no download addresses
	@uv pip compile pyproject.toml --extra dev --extra servers --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock

shell: setup state ## a shell with the environment of the jobs, for python -m jobs, airflow and mlflow by hand
	@$$SHELL

clean: down ## remove what setup made; the lake, the models and the key stay
	@rm -rf .venv var/uv var/jars var/airflow var/logs var/run *.egg-info .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@if [ -d var ]; then echo "kept: $$(ls -d var/* | tr '\n' ' ')- rm -r var removes them for good"; fi
