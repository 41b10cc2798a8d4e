#!/bin/sh
# Checks the files: lines for the log, and a SARIF file for code scanning, which shows them at their places.
#
# Usage: validate-github.sh SARIF
# Exit code: that of reconciler validate. Needs jq.
set -eu

code=0
reconciler validate || code=$?
reconciler validate --format sarif >"$1" 2>/dev/null || true
# A file without results says that nothing was checked; uploaded, it would close the alerts that are open.
jq --exit-status '.runs[0].results' "$1" >/dev/null || rm -f -- "$1"
exit "$code"
