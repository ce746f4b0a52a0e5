# The commands of the project.  Each makes what it needs first: .venv, the installed packages, the built core.
#
#   make demo        a real crash day on a real node, with a table and a picture
#   make test        everything that must hold

.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
NATIVE := $(wildcard native/*.pyx native/*.pxd)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# make demo DAY=2020-03-12 SEED=7 ARGS="--accounts 400"
DAY ?= 2025-10-10
SEED ?= 1
OUT ?= demo-out
ARGS ?=
# make fuzz SEED=3 N=2000000
N ?= 1000000
export PYTHON CC

.PHONY: help build test demo bench bench-compare bench-builds fuzz mutants lint typecheck docs
.PHONY: clients-test debug-test trace sanitize native wheel clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: .venv/built ## the Cython core, in place, and the `exchange` command in .venv/bin

test: .venv/test .venv/built ## the whole suite (ARGS="-k name" for a part)
	$(BIN)/python -m pytest $(ARGS)

demo: .venv/demo .venv/built ## a crash day with bots over ZeroMQ: table and cascade.png in demo-out/ (DAY, SEED, ARGS)
	$(BIN)/exchange demo --day $(DAY) --seed $(SEED) --out $(OUT) --verify $(ARGS)

bench: .venv/test .venv/built ## the benchmarks (ARGS="--quick": in a minute); how to read them: benchmarks/README.md
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-compare: .venv/test .venv/built ## ratios and instruction counts against the last committed ones (ARGS="--record" adds a line)
	$(BIN)/python benchmarks/compare.py $(ARGS)

bench-builds: wheel native .venv/test ## the portable wheel against the native build
	$(BIN)/python benchmarks/builds.py $(ARGS)

mutants: .venv/test .venv/built ## one comparison, rounding, sign or guard of the risk code changed at a time (ARGS="--module margin")
	$(BIN)/python .ci/mutants $(ARGS)

fuzz: .venv/test .venv/built ## random commands through both engines until they differ (SEED, N)
	$(BIN)/python -m exchange.fuzz --seed $(SEED) --commands $(N) $(ARGS)

lint: .venv/dev ## ruff (rules and format) and cython-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(BIN):$$PATH" cython-lint native

typecheck: .venv/dev ## mypy --strict on exchange/
	$(BIN)/mypy

clients-test: .venv/test .venv/built ## the clients in Node.js and C against a node (npm puts their modules into build/clients)
	mkdir -p build/clients && cp examples/clients/node/package.json build/clients
	npm install --prefix build/clients --no-audit --no-fund
	$(BIN)/python -m pytest tests/gateway/test_foreign_clients.py

docs: .venv/built ## write what comes from the tables, and what the engine answers on pages with stories
	$(BIN)/python -m exchange.protocol.generate
	$(BIN)/python -m exchange.client.generate
	$(BIN)/python -m exchange.gateway.session_page
	$(BIN)/python -m exchange.sim.pages docs/order-types.md docs/how-the-book-works.md

# Other builds: each in a copy of the tree, so that the one in place stays what it is.

debug-test: .venv/test ## the suite on a core without optimisation, where signed overflow aborts: build/debug
	$(BIN)/python .ci/variant.py debug -m pytest $(ARGS)

trace: .venv/test ## the suite on a core that counts its lines, and which never ran, by room: build/trace
	$(BIN)/python .ci/variant.py trace -m pytest $(ARGS)
	$(BIN)/python .ci/rooms.py build/trace --missing

sanitize: .venv/test ## the suite under the address and undefined-behaviour sanitizers (gcc): build/sanitize
	$(BIN)/python .ci/variant.py sanitize -m pytest $(ARGS)

native: .venv/installed ## a core tuned to this processor, to be used with PYTHONPATH=build/native
	$(BIN)/python .ci/variant.py native

wheel: .venv/installed ## a wheel in dist/ that runs on every processor of this kind
	@rm -rf build/lib* build/bdist*
	EXCHANGE_BUILD=release $(PIP:install=wheel) --no-deps --no-build-isolation --wheel-dir dist .

clean: ## everything that was made: .venv, build, compiled modules, caches
	rm -rf .venv build dist demo-out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find exchange -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a stamp is newer than all that it was made from, so a second call costs nothing.

.venv/made: .ci/bootstrap.sh
	@.ci/bootstrap.sh
	@$(PIP) "setuptools>=77" "cython>=3.1"
	@touch $@

# Editable, so that Python sources need no rebuild.
.venv/installed: .venv/made pyproject.toml
	@echo "installing exchange and building the core"
	@$(PIP) --no-build-isolation --editable .
	@touch $@

.venv/built: .venv/installed setup.py $(NATIVE)
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

.venv/demo .venv/test .venv/dev: .venv/installed
	@echo "installing what \`$(@F)\` needs"
	@$(PIP) --no-build-isolation --editable ".[$(@F)]"
	@touch $@
