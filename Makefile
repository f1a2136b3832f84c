# Every target is one command that can also be typed by hand; what CI runs stands in .ci/run only.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# ARGS go to the program of `make bench` or `make torture`, SEED and HOURS to the latter; BENCH picks the
# benchmarks of `microbench`, PKG the packages of `microbench` and `cover`, FUZZ the targets of `fuzz`; VULNDB is
# a copy of the Go vulnerability database.
ARGS ?=
SEED ?= 1
HOURS ?= 24
BENCH ?= .
PKG ?= ./...
DURATION ?= 5m
FUZZTIME ?= 10m
FUZZ ?= .
VULNDB ?= https://vuln.go.dev
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build ./px, static and without local paths
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o px .

.PHONY: test
test: ## Run all tests on a real PostgreSQL and Redis
	go run ./internal/cmd/testenv go test ./...

.PHONY: race
race: ## Run all tests under the race detector (needs a C compiler)
	.ci/run race

.PHONY: docs
docs: ## Write the parts of README.md, docs/policy.md and docs/access.md that follow from the code
	go run ./internal/cmd/policydoc
	go run ./internal/cmd/accessdoc
	go test -run Readme . -update

.PHONY: client
client: ## Write internal/apiclient from the description of the HTTP interface
	go run ./internal/cmd/apidoc > internal/apiclient/openapi.json
	cd internal/apiclient && go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config config.yaml openapi.json

.PHONY: fuzz
fuzz: ## Run every fuzz target, one after the other, for FUZZTIME each (10m); FUZZ picks some by name
	for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u); do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z]*' $$pkg/*_test.go | cut -c 6- | grep -E '$(FUZZ)'); do \
			go test $$pkg -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s -parallel 1; \
		done; \
	done

.PHONY: fuzz-api
fuzz-api: ## Fuzz the HTTP interface by its description: 10,000 requests, of a seed that it prints
	PX_FUZZ_REQUESTS=$${PX_FUZZ_REQUESTS:-10000} PX_FUZZ_SEED=$${PX_FUZZ_SEED:-$$RANDOM} \
		go run ./internal/cmd/testenv go test ./internal/apifuzz -count=1 -v

.PHONY: fmt
fmt: ## Format all Go files
	gofmt -s -w .

.PHONY: lint
lint: ## Check format, go vet, staticcheck and the house rules
	.ci/run format vet staticcheck
	go test ./internal/house

.PHONY: lint-more
lint-more: ## Run the wider golangci-lint set of .golangci.yml (slow to build the first time)
	.ci/run golangci

.PHONY: deploy-check
deploy-check: ## Validate deploy/ against the Kubernetes API schemas and the rules in deploy/check
	.ci/run deploy

.PHONY: check
check: ## Run what CI runs, word for word
	.ci/run

.PHONY: vulns
vulns: ## Look for known vulnerabilities in what is linked (asks VULNDB, vuln.go.dev)
	go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 -db=$(VULNDB) ./...

.PHONY: licences
licences: ## List the licence of every module that is linked; fails for one that does not go with ours
	go run github.com/google/go-licenses@v1.6.0 check . --disallowed_types=forbidden,restricted,reciprocal,unknown
	go run github.com/google/go-licenses@v1.6.0 report . --ignore github.com/pxactions/px

.PHONY: reproducible
reproducible: ## Build twice, in different folders with caches of their own, and compare byte by byte
	d=$$(mktemp -d); trap 'chmod -R u+w "$$d"; rm -rf "$$d"' EXIT; \
	git clone -q . "$$d/1"; git clone -q "$$d/1" "$$d/2"; \
	for n in 1 2; do \
		(cd "$$d/$$n" && GOCACHE="$$d/cache$$n" CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o "$$d/px$$n" .); \
	done; \
	sha256sum "$$d"/px1 "$$d"/px2; cmp "$$d/px1" "$$d/px2"

.PHONY: bench
bench: ## Measure px beside a plain one-task-one-transaction program (minutes), e.g. make bench ARGS='-rounds 1'
	go run ./internal/bench $(ARGS)

.PHONY: torture
torture: ## Break real processes at random and compare with a model, e.g. make torture SEED=7 HOURS=48
	go run ./internal/torture -seed $(SEED) -hours $(HOURS) $(ARGS)

.PHONY: torture-mutants
torture-mutants: ## Torture px with one bug after another, each of which must be found
	go run ./internal/torture -mutants -hours 6 -speed 1200 -rate 8 -moves 12 -drain 60s $(ARGS)

.PHONY: overload
overload: ## Offer the intake ten times what it takes, for DURATION (5m), and check that it keeps what it accepts
	go run ./internal/overload -for $(DURATION)

.PHONY: microbench
microbench: ## Run Go benchmarks, e.g. make microbench BENCH=Decide PKG=./sla
	go run ./internal/cmd/testenv go test -run '^$$' -bench '$(BENCH)' -benchmem $(PKG)

.PHONY: cover
cover: ## Run all tests with coverage and show the total; details: go tool cover -html=coverage.out
	go run ./internal/cmd/testenv go test -coverpkg=./... -coverprofile=coverage.out $(PKG)
	go tool cover -func=coverage.out | tail -n 1

.PHONY: demo
demo: ## Run everything on sample data with a fast clock
	go run . demo

.PHONY: dev
dev: ## Run all processes in one, on private servers
	go run . dev
