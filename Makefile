# The two commands of the README are `make demo` and `make test`; `make help` lists the rest.
SHELL := bash
CARGO ?= cargo
FUZZ_SECONDS ?= 60
CHAOS_SECONDS ?= 120
CHAOS_SEED ?= $(shell date +%s)
DEMO_ARGS ?=

.PHONY: help demo build test test-drivers test-versions chaos lint bench bench-load bench-pg soak fuzz test-fresh setup setup-tests clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 20

setup:
	@scripts/setup

setup-tests:
	@scripts/setup --tests

build: setup ## build the binary (release) and the job board
	$(CARGO) build --release --locked -p paceline -p jobboard

demo: build ## set up, build, and run the main job: measure, diagnose, fix, prove
	@target/release/paceline demo $(DEMO_ARGS)

test: setup-tests ## set up and run all tests
	$(CARGO) build --locked --workspace --all-targets
	$(CARGO) test --locked --workspace

test-drivers: ## the drivers that people use, newest versions, through Paceline: a table (DRIVERS="psycopg sqlx …" for some)
	@scripts/setup --drivers
	$(CARGO) build --locked -p paceline --bin paceline --example drivers
	$(CARGO) run --quiet --locked -p paceline --example drivers -- $(DRIVERS)

test-versions: setup-tests ## the proxy's tests against Postgres 13, 14, 16, 17 and 18: a table (VERSIONS="13 18" for some)
	@scripts/test-versions $(VERSIONS)

chaos: setup-tests ## clients move money for CHAOS_SECONDS (120) while servers, sockets and clients die (CHAOS_SEED)
	PACELINE_CHAOS_SECONDS=$(CHAOS_SECONDS) PACELINE_CHAOS_SEED=$(CHAOS_SEED) \
		$(CARGO) test --locked -p paceline-pgproxy --test chaos -- --nocapture

lint: setup ## rustfmt, clippy and rustdoc, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

bench: setup ## micro-benchmarks of the hot paths, nanoseconds each
	$(CARGO) bench --locked -p paceline-pgwire -p paceline-sql -p paceline-journal --benches

bench-load: build ## what a request costs `paceline load`, wrk, oha and hey, in turns, 2 minutes
	@PYTHONDONTWRITEBYTECODE=1 python3 bench/loadgen.py

bench-pg: build ## pgbench through Paceline, PgBouncer and others in turns, 15 minutes (BENCH_QUICK=1: 2)
	@PYTHONDONTWRITEBYTECODE=1 python3 bench/pg.py

soak: setup ## the proxy alone for three minutes: values of 1 GiB, 2,000 idle clients, dying server sessions
	$(CARGO) run --locked -p paceline-pgproxy --example soak

fuzz: setup ## each fuzz target, and the proxy against Postgres, for FUZZ_SECONDS (nightly, cargo-fuzz)
	scripts/fuzz $(FUZZ_SECONDS)

test-fresh: ## both commands of the README on a bare Debian made with debootstrap (root)
	scripts/test-fresh

clean: ## remove what was built
	$(CARGO) clean
