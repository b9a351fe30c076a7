#!/usr/bin/env bash
# Compares the Go benchmarks of two commits: bench/compare.sh A B [PATTERN]
set -euo pipefail

[[ $# -ge 2 ]] || { echo 'usage: bench/compare.sh COMMIT COMMIT [PATTERN]' >&2; exit 2; }
pattern=${3:-'BenchmarkHandler|BenchmarkConvert|BenchmarkCount'}
root=$(git rev-parse --show-toplevel)
dir=$(mktemp -d)
trap 'git -C "$root" worktree remove --force "$dir/a" 2>/dev/null; git -C "$root" worktree remove --force "$dir/b" 2>/dev/null; rm -rf "$dir"' EXIT

for side in a b; do
	commit=$1
	shift
	git -C "$root" worktree add -q --detach "$dir/$side" "$commit"
done
for round in 1 2 3 4 5 6; do # in turn, so that a machine's mood is both sides'
	for side in a b; do
		(cd "$dir/$side" && go test -run '^$' -bench "$pattern" -benchmem -benchtime 1s ./cmd/cambio ./storage ./grants/... | grep -v '^\(ok\|PASS\|?\)' >> "$dir/$side.txt") || true
	done
done
go run golang.org/x/perf/cmd/benchstat@latest "$dir/a.txt" "$dir/b.txt"
