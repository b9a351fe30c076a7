# `make` alone prints this help. CI runs `make check` and nothing else.
SHELL := /bin/bash
.DEFAULT_GOAL := help

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

##@ Use
.PHONY: run serve build
run: ## Show the main job: one exchange, introspection and revocation, with nothing to prepare
	@$(GO) build -o bin/cambio ./cmd/cambio
	@bin/cambio demo

serve: ## Run the server on ./cambio.db
	@$(GO) build -o bin/cambio ./cmd/cambio
	@bin/cambio serve

build: ## Build ./cambio, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o cambio ./cmd/cambio

##@ Test
.PHONY: test race fuzz chaos bench microbench interop screenshots
test: interop ## Run every test, on SQLite and on a real PostgreSQL, installing what is missing
	e2e/postgres.sh run $(GO) test -count=1 ./...
	@echo "left to make chaos, which takes a quarter of an hour: the full size of e2e/chaos, and R14 (overload)"

race: ## Run the concurrent rooms' tests under the race detector
	e2e/postgres.sh run $(GO) test -race -count=1 ./cmd/... ./admin/... ./handlers/... ./keys/... ./storage/... ./grants/...

fuzz: ## Run each fuzz target for a minute
	e2e/fuzz.sh 60s

chaos: ## Run the fault scenarios in full size (a quarter of an hour) and print their figures; the short set is in `make test`
	$(GO) test -tags chaos -count=1 -timeout 60m -v ./e2e/chaos

bench: ## Measure against the floor, on SQLite and PostgreSQL: ten minutes (ARGS=-quick: three minutes)
	@$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/cambio ./cmd/cambio
	@$(GO) build -o bin/bench ./bench
	e2e/postgres.sh run bin/bench -out docs/img $(ARGS)

microbench: ## Run every Go benchmark
	e2e/postgres.sh run $(GO) test -run '^$$' -bench . -benchmem ./...

interop: e2e/interop/node_modules ## Install the programs of other people that tests run against
	@e2e/interop/programs.sh

e2e/interop/node_modules: e2e/interop/package.json e2e/interop/package-lock.json
	@command -v npm >/dev/null || { echo "no npm: install Node.js (Debian: apt-get install nodejs npm)" >&2; exit 1; }
	cd e2e/interop && npm ci --no-audit --no-fund
	@touch $@

screenshots: interop ## Take the pictures of docs/img anew, of the panel as the tests see it
	CAMBIO_TEST_SCREENSHOTS=$(CURDIR)/docs/img $(GO) test -count=1 -run '^TestPanel$$' ./e2e

##@ Check
.PHONY: check format vet staticcheck tidy vuln
check: format vet tidy staticcheck test race vuln ## Run all that CI runs

format: ## Fail on Go files that gofmt would change
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofmt would change:"; echo "$$out"; exit 1; }

vet: ## Run go vet
	$(GO) vet ./...
	$(GO) vet -tags chaos ./e2e/chaos
	cd e2e/clients && $(GO) vet ./...

staticcheck: ## Run staticcheck
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(STATICCHECK) -tags chaos ./e2e/chaos
	cd e2e/clients && $(GO) run $(STATICCHECK) ./...

tidy: ## Fail when go.mod or go.sum are not tidy, or do not match what was downloaded
	$(GO) mod tidy -diff
	$(GO) mod verify
	cd e2e/clients && $(GO) mod tidy -diff

vuln: ## Look for known vulnerabilities, where their database can be reached
	e2e/govulncheck.sh $(GOVULNCHECK)

##@ Help
.PHONY: help
help: ## Print this help
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*##/ {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
