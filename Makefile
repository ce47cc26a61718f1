# Wraps go in the environment that libtorch needs. "make help" lists the targets.

RUN := scripts/setup.sh run --

# Packages without libtorch: their tests take no setup and no compiler.
PURE := ./models/genotype ./draw ./datasets/... ./search/space ./internal/arch

.DEFAULT_GOAL := build
.PHONY: help setup env build demo test check race lint clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

setup: ## prepare libtorch (CUDA=0|1, LIBTORCH=DIR, HDAS_CACHE=DIR)
	@scripts/setup.sh

env: ## print the cgo flags, for eval "$(make -s env)"
	@scripts/setup.sh env

build: ## compile bin/hdas
	@$(RUN) go build -o bin/hdas ./cmd/hdas

demo: build ## the paper's whole path on the embedded digits
	@bin/hdas demo

test: ## every test
	@$(RUN) go test -timeout 30m ./...

check: ## the tests that need no libtorch
	@CGO_ENABLED=0 go test $(PURE)

race: ## every test under the race detector
	@$(RUN) go test -race -timeout 60m ./...

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "gofmt -w is needed for:"; gofmt -l .; exit 1; }
	@$(RUN) go vet ./...
	@$(RUN) go tool staticcheck ./...

clean: ## remove what was compiled
	@rm -rf bin
