#!/bin/sh
# Writes a report of what this branch changes, and fails when it must not be merged as it is.
#
# Usage: plan.sh BASE REPORT [OPTION of reconciler plan]...
#   BASE    branch or commit that the branch is for; told is what HEAD changes since the two parted
#   REPORT  Markdown file to write
# Exit code: 0 when nothing or something would be sent, 1 a task is invalid, 3 something is blocked, 64 wrong usage.
set -eu
set +x

if [ $# -lt 2 ]; then
    echo "usage: plan.sh BASE REPORT [OPTION]..." >&2
    exit 64
fi
base=$1
report=$2
shift 2
rm -f -- "$report"

if ! parted=$(git merge-base "$base" HEAD 2>/dev/null); then
    echo "plan.sh: no common commit of $base and HEAD is in this clone. Fetch the whole history:" >&2
    echo "  GitHub: fetch-depth: 0 for actions/checkout; GitLab: GIT_DEPTH: 0; elsewhere: git fetch --unshallow" >&2
    exit 64
fi

code=0
reconciler plan --rev "$parted..$(git rev-parse HEAD)" --format markdown "$@" >"$report" || code=$?
if ! [ -s "$report" ]; then # reconciler has said why
    rm -f -- "$report"
    echo "plan.sh: there is no report" >&2
    exit "$code"
fi
case $code in
    1) echo "plan.sh: a task is invalid; see the report" >&2 ;;
    2) code=0 ;; # something would be sent: that is what changes are for
    3) echo "plan.sh: something is blocked; see the report" >&2 ;;
esac
exit "$code"
