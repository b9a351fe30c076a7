#!/usr/bin/env bash
# Runs govulncheck (the module and version in $1). Its database is on the
# Internet; a machine that cannot reach it says so and goes on.
set -uo pipefail
out=$(go run "$1" ./... 2>&1)
code=$?
echo "$out"
if [[ $code -ne 0 && $out == *"vuln.go.dev"* && $out != *"Vulnerability #"* ]]; then
	echo "NOT CHECKED for known vulnerabilities: their database cannot be reached from here" >&2
	exit 0
fi
exit "$code"
