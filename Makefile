# Every target installs what it needs where it may (Debian and Ubuntu packages), else names it.
# `make help` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The sample's language. Only `make run LANG=c` counts, not the environment's LANG.
ifeq ($(origin LANG),command line)
SAMPLE := $(LANG)
else
SAMPLE := java
endif
RUNS ?= 0
SECONDS ?= 0
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: help run cluster test differential build install bench takeover chaos chaos-full chaos-mutants fmt lint clean

help: ## Shows this.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## Starts a server, a sample worker (LANG=java|c|rust) and shows runs as they happen; RUNS=n ends after n.
	@scripts/run.sh "$(SAMPLE)" "$(RUNS)"

cluster: ## Starts three servers on a throw-away PostgreSQL with sample workers; SECONDS=n or RUNS=n ends it.
	@scripts/cluster.sh "$(SECONDS)" "$(RUNS)"

test: ## Runs every test of every language.
	@scripts/test.sh

differential: ## Holds the cron engine against Quartz, Spring and croner; CASES=n, SEED=n.
	@scripts/differential.sh "$(CASES)" "$(SEED)"

build: ## Leaves release builds in dist/.
	@scripts/build.sh

install: ## Copies dist/ to PREFIX (default /usr/local): binary, library, header, pkg-config.
	@scripts/install.sh "$(DESTDIR)" "$(PREFIX)"

bench: ## Measures beside a floor; SCENARIO=name, default all. See bench/README.md.
	@bench/run.sh $(SCENARIO)

takeover: ## Measures how long apps are without an owner after kill -9 and after SIGTERM: three servers on PostgreSQL.
	@cargo test -p fastjob-server --test takeover -- times --ignored --nocapture --test-threads=1

chaos: ## Harms servers, workers and databases by a plan and judges the history; PLAN=name|all, DATABASE=name, SEED=n, ROUNDS=n.
	@scripts/chaos.sh

chaos-full: ## Every plan on every database with three seeds; goes on where it stopped; writes docs/chaos-matrix.md.
	@scripts/chaos.sh full

chaos-mutants: ## Plants bugs, each of which must be caught by the invariant that it breaks.
	@scripts/chaos.sh mutants

fmt: ## Formats.
	cargo fmt

lint: ## Checks format, lints and generated files.
	@scripts/lint.sh

clean: ## Removes what was built.
	rm -rf target dist java-client/build java-client/*/build java-client/.gradle .fastjob
