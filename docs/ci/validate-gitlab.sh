#!/bin/sh
# Checks the files: lines for the log, and a Code Quality report, which GitLab shows in the merge request.
#
# Usage: validate-gitlab.sh REPORT
# Exit code: that of reconciler validate. Needs jq.
set -eu

code=0
reconciler validate || code=$?
reconciler validate --format json 2>/dev/null | jq '[.violations // [] | .[] | {
    description: "\(.pointer): expected \(.expected), found \(.found). \(.suggestion // "")",
    check_name: .rule,
    fingerprint: "\(.rule) \(.file) \(.pointer)",
    severity: (if .severity == "error" then "major" else "minor" end),
    location: {path: "\(.root)/\(.file)", lines: {begin: (.line // 1)}}
}]' >"$1"
exit "$code"
