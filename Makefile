# Wraps go in the environment that libtorch needs. "make help" lists the targets.

RUN := scripts/setup.sh run --

# Packages without libtorch: their tests take no setup and no compiler.
PURE := ./setting ./estimate ./configs ./draw ./export ./datasets ./weights/... ./search/space ./metric/score ./recipe ./report ./models/genotype/... ./models/layer ./models/ops ./models/plan \
	./torch/dtype ./torch/kernel ./torch/optim/schedule ./torch/versions ./internal/arch ./internal/fetch ./internal/filekind ./internal/imagefile ./internal/layered ./internal/pickle ./internal/proc ./internal/raster ./internal/testseed ./internal/tfevents ./lab/jobs ./launch ./live

.DEFAULT_GOAL := build
.PHONY: simulated help build reproduce wheel device-kit setup env demo test check race-pure race soak bench versions golden parity lint clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

build: ## compile bin/hdas (the default)
	$(RUN) go build -o bin/hdas ./cmd/hdas

wheel: ## a Python wheel of hdas for each supported PyTorch, in dist/ (VERSIONS="2.11.0 2.15.0")
	python3 scripts/wheel.py $(VERSIONS)

device-kit: ## the program, its tests and checks beside PyTorch for a machine with a GPU, one archive in dist/ (VERSION=2.11.0; LIBTORCH=python|DIR)
	python3 scripts/kit.py $(VERSION)

setup: ## prepare libtorch (LIBTORCH=python|DIR|VERSION, CUDA=0|1, HDAS_CACHE=DIR; LIBJPEG=0|1|static)
	@scripts/setup.sh

env: ## print the cgo flags, for eval "$(make -s env)"
	@scripts/setup.sh env

demo: build ## the paper's whole path on the embedded digits
	bin/hdas demo

reproduce: build ## every experiment of the paper at the tiny scale, a test that all of it runs; minutes
	bin/hdas reproduce table1 table2 table3 table4 table5 table6 ri figure5 figures6-9 figures10-11 --scale tiny --jobs 2

test: ## every test
	$(RUN) go test -timeout 30m ./...

check: ## the tests that need no libtorch, in seconds
	CGO_ENABLED=0 go test $(PURE)

race-pure: ## the tests that need no libtorch, fewer cases of each, under the race detector
	$(RUN) go test -short -race $(PURE)

race: ## every test under the race detector
	$(RUN) go test -race -timeout 60m ./...

COMPILE := --compile

bench: build ## steps beside PyTorch (prepared as for golden; COMPILE= without torch.compile, REFERENCE=checkout of quark0/darts), scaling, data (PYTHON=python with torchvision)
	scripts/setup.sh pytorch --version
	$(if $(REFERENCE),bin/hdas bench darts --reference $(REFERENCE))
	bin/hdas bench train --batch 16,64 --pytorch $(COMPILE)
	bin/hdas bench imagenet imagenet-staged eval --batch 16 --pytorch $(COMPILE)
	bin/hdas bench stage distribution darts stage-second-order darts-second-order amoebanet --batch 16 --pytorch
	bin/hdas bench darts distribution stage eval --pytorch
	bin/hdas bench darts stage train --recompute none,edge,cell --path kernels,operations --batch 16
	bin/hdas bench darts --batch 16,32,64,128
	bin/hdas bench darts --cells 5,8,11,14
	bin/hdas bench darts --channels 8,16,32 --batch 32
	bin/hdas bench darts stage train --threads 1,2
	bin/hdas bench stage --cells 4,6,8 --window 2,3,4
	bin/hdas bench loader --threads 1,2
	@PYTHON=$(PYTHON) $(RUN) python3 scripts/bench.py
	python3 scripts/transfer.py

# A CUDA device whose operations are the CPU's (internal/torchtest/simulated), and the packages that are tested on it.
SIMULATED := ./torch/optim ./torch/nn ./torch/dist ./metric ./models

simulated: ## tests on a simulated CUDA device, which finds tensors on the wrong one (libtorch 2.15)
	@mkdir -p bin
	$(RUN) sh -c '$${CXX:-g++} -std=c++17 -O1 -fPIC -shared $$CGO_CXXFLAGS internal/torchtest/simulated/*.cpp -o bin/simulated.so $$CGO_LDFLAGS -l:libtorch_cpu.so -l:libc10.so -lrt'
	HDAS_TEST_DEVICE=cuda $(RUN) go test -short -timeout 60m -exec "env LD_PRELOAD=$(CURDIR)/bin/simulated.so" $(SIMULATED)

soak: ## kill a search, and processes of a training in two, at 200 random instants each, and resume them
	$(RUN) go test -timeout 2h -run "TestKilledAnywhere|TestKilledRanks" -v ./cmd/hdas -kills 200 -rankkills 200

versions: ## goldens, resumed runs and steps beside PyTorch on each supported libtorch (VERSIONS="2.1.2 2.15.0"; 4 GB each)
	scripts/versions.sh $(VERSIONS)

golden: ## make what can be made anew of the golden numbers, by PyTorch (4.4 GB, prepared once; LIBTORCH, PYTHON=COMMAND, HDAS_CACHE=DIR)
	scripts/setup.sh pytorch internal/golden/data/pieces/make.py
	scripts/setup.sh pytorch internal/golden/networks.py
	scripts/setup.sh pytorch internal/golden/options.py
	scripts/setup.sh pytorch internal/golden/training.py

parity: build ## compare with PyTorch (prepared as for golden): its twin with the reference's numbers, this program with the twin, exported modules
	scripts/setup.sh pytorch internal/golden/pytorch/check_twin.py
	bin/hdas compare pytorch
	$(RUN) go test -count=1 -run TestModules ./model -pytorch

lint: setup ## gofmt, go vet, staticcheck
	@echo gofmt -l . && found=$$("$$(go env GOROOT)/bin/gofmt" -l .) && \
	if [ -n "$$found" ]; then echo "gofmt -w is needed for:"; echo "$$found"; exit 1; fi
	$(RUN) go vet ./...
	$(RUN) go tool staticcheck ./...

clean: ## remove what was compiled here; libtorch and Go's build cache stay
	rm -rf bin dist
