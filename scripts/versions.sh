#!/bin/sh
# Tries every supported version of libtorch, or those that are named: versions.sh [VERSION ...]
#
# On each: the golden tests, interrupted and resumed runs, and steps beside PyTorch of the same version. Then one search that goes
# on from version to version, and a network that all of them evaluate alike. Each version's libtorch takes 0.6 GB in the cache folder
# and 10 minutes of processor time to compile. Its PyTorch takes 5 GB; if it was not there before, it is removed after the comparison.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- $(sed -n 's/^\([0-9.]*\) .*/\1/p' torch/versions/versions.txt)
cache=${HDAS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hdas}
work=$(mktemp -d)
step=
child=
end() {
	code=$?
	[ -z "$child" ] || kill "$child" 2>/dev/null || true
	[ $code = 0 ] || echo "versions: failed: $step" >&2
	rm -rf "$work"
	exit $code
}
trap end EXIT
trap 'exit 130' INT TERM HUP
say() { echo "versions: $*"; }

# begin VERSION STEP selects the libtorch of the following commands.
begin() {
	export LIBTORCH="$1"
	step="libtorch $1, $2"
	say "$step"
}

# quietly COMMAND shows what a command says only if it fails.
quietly() {
	"$@" >"$work/log" 2>&1 || {
		code=$?
		cat "$work/log" >&2
		return $code
	}
}

for v; do
	begin "$v" "libtorch"
	scripts/setup.sh
	begin "$v" "build"
	start=$(date +%s)
	scripts/setup.sh run -- go build -o "$work/$v" ./cmd/hdas
	say "libtorch $v, built in $(($(date +%s) - start)) s"
	begin "$v" "tests"
	scripts/setup.sh run -- go test -count=1 -timeout 60m ./torch/... ./models ./model ./search ./train ./run ./internal/golden ./internal/parity
	begin "$v" "interrupted and resumed runs"
	scripts/setup.sh run -- go test -count=1 -timeout 60m -run 'Killed|SearchTrainEval' ./cmd/hdas
	begin "$v" "PyTorch"
	there=0
	[ ! -e "$cache/pytorch-$v" ] || there=1
	python=$(scripts/setup.sh pytorch)
	begin "$v" "steps beside PyTorch"
	# One thread: several, which wait for each other, take many times as long if the machine has other work.
	quietly "$work/$v" compare pytorch --python "$python" --threads 1 --steps 2 --channels 2 --batch 2
	say "libtorch $v: $(grep -c ', with ' "$work/log") networks equal PyTorch's"
	[ $there = 1 ] || rm -rf "$cache/pytorch-$v"
done

# One search, of which each version computes an epoch.
small="--set network.channels=2 --set network.layers=3 --set search.batch=500"
search="$work/search"
epoch=0
resume="search cell --config tiny-cell $small --set search.cell_primitives=[none,skip_connect] --set search.epochs=$#"
for v; do
	begin "$v" "a search that goes on from version to version"
	epoch=$((epoch + 1))
	"$work/$v" $resume --out "$search" 2>"$work/log" &
	child=$!
	while kill -0 $child 2>/dev/null && [ "$(cat "$search/epochs.jsonl" 2>/dev/null | wc -l)" -lt $epoch ]; do sleep 0.1; done
	kill $child 2>/dev/null || true
	wait $child || [ $? = 130 ] || {
		cat "$work/log" >&2
		exit 1
	}
	child=
	[ $epoch = 1 ] || grep -q "goes on with libtorch $v instead of" "$work/log"
	say "libtorch $v: the search has $(wc -l <"$search/epochs.jsonl") of $# epochs"
	resume="search cell --resume"
done
[ -f "$search/genotype.yaml" ]

begin "$1" "a network for all versions"
quietly "$work/$1" train --genotype DARTS_V2 --config tiny-train --out "$work/trained" --set network.channels=2 --set network.layers=3 --set train.epochs=1 --set train.batch=500
for v; do
	begin "$v" "the evaluation of that network"
	"$work/$v" eval "$work/trained" --json >"$work/score-$v"
	python3 - "$work/score-$1" "$work/score-$v" <<'END'
import json, sys
first, this = (json.load(open(name)) for name in sys.argv[1:])
print("versions: loss %.7f, top-1 %.4f" % (this["loss"], this["top1"]))
sys.exit(abs(this["loss"] / first["loss"] - 1) > 1e-5 or this["top1"] != first["top1"])
END
done
