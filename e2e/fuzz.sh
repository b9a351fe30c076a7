#!/usr/bin/env bash
# Runs every fuzz target of the repository for the time in $1, such as 60s.
set -euo pipefail
for file in $(git grep -l '^func Fuzz' -- '*_test.go'); do
	for target in $(grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //'); do
		echo "== $target in $(dirname "$file")"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 10x "./$(dirname "$file")"
	done
done
