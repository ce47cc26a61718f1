#!/bin/sh
# Tries every supported version of libtorch, or those that are named: versions.sh [VERSION ...]
#
# On each: the golden tests, interrupted and resumed runs, and steps beside PyTorch of the same version. Then one search that goes
# on from version to version, and a network that all of them evaluate alike. Prepares each version and its PyTorch (4 GB each).
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- $(sed -n 's/^\([0-9.]*\) .*/\1/p' torch/versions/versions.txt)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { echo "versions: $*"; }

for v; do
	export LIBTORCH="$v"
	start=$(date +%s)
	scripts/setup.sh run -- go build -o "$work/$v" ./cmd/hdas
	say "libtorch $v: built in $(($(date +%s) - start)) s"
	scripts/setup.sh run -- go test -count=1 -timeout 60m ./torch/... ./models ./model ./search ./train ./run ./internal/golden ./internal/parity
	scripts/setup.sh run -- go test -count=1 -timeout 60m -run 'Killed|SearchTrainEval' ./cmd/hdas
	python=$(scripts/setup.sh pytorch)
	"$work/$v" compare pytorch --python "$python" --steps 2 --channels 2 --batch 2 >"$work/table" || {
		cat "$work/table"
		exit 1
	}
	say "libtorch $v: $(grep -c ', with ' "$work/table") networks equal PyTorch's"
done

small="--set network.channels=2 --set network.layers=3 --set search.batch=500"
search="$work/search"
epoch=0
resume="search cell --config tiny-cell $small --set search.cell_primitives=[none,skip_connect] --set search.epochs=$#"
for v; do
	epoch=$((epoch + 1))
	"$work/$v" $resume --out "$search" 2>"$work/log" &
	while kill -0 $! 2>/dev/null && [ "$(cat "$search/epochs.jsonl" 2>/dev/null | wc -l)" -lt $epoch ]; do sleep 0.1; done
	kill $! 2>/dev/null || true
	wait $! || [ $? = 130 ] || {
		cat "$work/log"
		exit 1
	}
	say "libtorch $v: the search has $(cat "$search/epochs.jsonl" | wc -l) of $# epochs"
	resume="search cell --resume"
done
[ -f "$search/genotype.yaml" ]

"$work/$1" train --genotype DARTS_V2 --config tiny-train --out "$work/trained" --set network.channels=2 --set network.layers=3 --set train.epochs=1 --set train.batch=500 2>"$work/log"
for v; do
	"$work/$v" eval "$work/trained" --json >"$work/score-$v"
	say "libtorch $v: $(tr -d ' \n' <"$work/score-$v" | cut -c 1-120)"
done
