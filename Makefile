# `make help` lists the targets: every line "target: ## what it does".

GO ?= $(or $(shell command -v go),/usr/local/go/bin/go)
FUZZTIME ?= 30s
FUZZCHECKS ?= 5000
FUZZOPS ?= 10000000
FUZZSEEDS ?= 20
TESTFLAGS ?=

# A clone that belongs to another user makes git refuse, and go build with it.
export GOFLAGS := -buildvcs=false $(filter-out -buildvcs%,$(GOFLAGS))
export PATH := $(PATH):$(dir $(GO))

# What building and testing need: Debian packages, each with the command that shows it is there
# (see .ci/deps).
BUILD_PACKAGES = gcc:gcc libc6-dev:/usr/include/stdlib.h pkg-config:pkg-config \
	libseccomp-dev:/usr/include/seccomp.h ca-certificates:/etc/ssl/certs/ca-certificates.crt
TEST_PACKAGES = binutils:ar xz-utils:xz g++:g++ make:make git:git perl:perl python3:python3 nodejs:node \
	default-jdk-headless:javac sqlite3:sqlite3 postgresql:/usr/lib/postgresql/*/bin/initdb \
	redis-server:redis-server redis-tools:redis-benchmark \
	stress-ng:stress-ng strace:strace util-linux:setpriv procps:ps bash:bash
# What is measured beside it.
BENCH_PACKAGES = strace:strace proot:proot bubblewrap:bwrap
BENCHFLAGS ?=

# The packages that have goroutines are tested with the race detector. What runs programs is run
# every time (-count=1): go test does not know what the result depends on.
RACE_PACKAGES = ./ptrace/... ./sandbox/... ./cmd/...
PURE_PACKAGES = ./sentry/... ./docs/... ./bench/...

.DEFAULT_GOAL := help
.PHONY: help build demo test lint fuzz bench deps deps-test clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | while IFS='	' read -r target what; do \
		printf '  make %-10s %s\n' "$$target" "$$what"; done

build: ## build bin/runsbx
	$(GO) build -trimpath -o bin/runsbx ./cmd/runsbx

demo: deps ## install what building needs, build, and show the main job on real programs
	@$(MAKE) --no-print-directory build
	@$(GO) run ./cmd/runsbx/internal/demo bin/runsbx

test: deps deps-test ## install what the tests need, and run all of them
	@$(MAKE) --no-print-directory lint build
	GORACE=atexit_sleep_ms=0 $(GO) test -race -count=1 -timeout 10m $(TESTFLAGS) $(RACE_PACKAGES)
	$(GO) test -timeout 10m $(TESTFLAGS) $(PURE_PACKAGES)
	RUNSBX_BIN=$(CURDIR)/bin/runsbx $(GO) test -count=1 -timeout 30m $(TESTFLAGS) ./integration/...

lint: ## go vet, gofmt, and that the pure packages build anywhere
	$(GO) vet ./...
	@for os in windows darwin freebsd; do CGO_ENABLED=0 GOOS=$$os $(GO) build ./sentry/... || exit 1; done
	@unformatted=$$($(dir $(GO))gofmt -l .); \
		if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:" $$unformatted >&2; exit 1; fi

# The dice are thrown here alone: in `make test` the same commit always makes the same random calls. Each
# command is printed with its seed, and fails again with it. Inputs are made smaller in a few steps only: that
# would otherwise take nearly all of FUZZTIME.
fuzz: deps build ## fuzz for FUZZTIME (30s) each, and make random calls with new seeds
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's/:func / /' | sort | while read -r file name; do \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x "$$(dirname "$$file")" || exit 1; done
	@seed=$$(od -An -N3 -tu4 /dev/urandom | tr -d ' '); set -ex; \
		$(GO) test -count=1 -timeout 0 ./sentry/segment ./sentry/mm -run '^Test(Model|Pages|CoreProperties)$$' -rapid.seed=$$seed -rapid.checks=$(FUZZCHECKS); \
		$(GO) test -count=1 -timeout 0 ./sentry/mm -run '^TestCampaign$$' -v -first $$seed -ops $(FUZZOPS); \
		$(GO) test -count=1 -timeout 0 ./sentry/mm/difftest -seeds $(FUZZSEEDS) -calls 3000 -first $$seed; \
		RUNSBX_BIN=$(CURDIR)/bin/runsbx $(GO) test -count=1 -timeout 0 ./integration -run '^TestDifferential$$' -seeds $(FUZZSEEDS) -calls 3000 -first $$seed

bench: deps deps-test ## measure what it costs, beside the floors and other tools (BENCHFLAGS; see bench/doc.go)
	@.ci/deps tests $(BENCH_PACKAGES)
	@$(MAKE) --no-print-directory build
	$(GO) test -run '^$$' -bench . ./sentry/segment ./sentry/mm
	$(GO) run ./bench $(BENCHFLAGS)

deps: ## install what building needs, where it is missing
	@.ci/deps required $(BUILD_PACKAGES)

deps-test: ## install the programs that the tests run, where they are missing
	@.ci/deps tests $(TEST_PACKAGES)

clean: ## remove what was built
	rm -rf bin
