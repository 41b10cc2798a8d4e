#!/bin/sh
# Posts a report as a comment of a pull request, or edits the one that is there: one comment, always the newest report.
#
# Usage: comment-github.sh REPORT
# Environment: GITHUB_TOKEN with the right to write to pull requests; PULL_REQUEST, its number; COMMENT_AUTHOR, whose
# comments the token writes (github-actions[bot]); GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_STEP_SUMMARY as set by
# GitHub. Without the right to comment (a pull request from a fork) the report is in the summary of the job only.
# Needs curl and jq.
set -eu
set +x # the token is in no trace; it is in no argument list either
umask 077

report=$1
marker='<!-- reconciler plan -->'
author=${COMMENT_AUTHOR:-github-actions[bot]}
repository=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY
comments=$repository/issues/$PULL_REQUEST/comments

work=$(mktemp -d)
trap 'finish $?' EXIT

# Without the right to comment (77) the report is elsewhere, which is no failure.
finish() {
    rm -rf "$work"
    [ "$1" -ne 77 ] || exit 0
    exit "$1"
}

# METHOD URL [OPTION of curl]...: prints the status, leaves the answer in $work/answer.
api() {
    method=$1
    url=$2
    shift 2
    curl --silent --show-error --max-time 60 --header "@$work/headers" --output "$work/answer" \
        --write-out '%{http_code}' --request "$method" "$@" "$url"
}

# Prints the id of our comment, if there is one. Only our own: anybody may write the marker into theirs.
find_ours() {
    page=1
    while :; do
        check "$(api GET "$comments?per_page=100&page=$page" --retry 2)"
        jq --raw-output --arg marker "$marker" --arg author "$author" \
            'map(select(.user.login == $author and (.body // "" | startswith($marker)))) | first | .id // empty' \
            "$work/answer" >"$work/found"
        if [ -s "$work/found" ] || [ "$(jq length "$work/answer")" -lt 100 ]; then
            cat "$work/found"
            return 0
        fi
        page=$((page + 1))
    done
}

# Ends the script unless the request was carried out.
check() {
    case $1 in
        2??) return 0 ;;
        401 | 403 | 404)
            echo "comment-github.sh: no right to comment ($1): the report is in the summary of this job" >&2
            exit 77
            ;;
        000)
            echo "comment-github.sh: $comments cannot be reached" >&2
            exit 1
            ;;
    esac
    echo "comment-github.sh: $comments answered $1: $(jq --raw-output '.message // empty' "$work/answer" 2>&1)" >&2
    exit 1
}

publish() {
    jq --null-input --rawfile body "$report" '{body: $body}' >"$work/body"
    ours=$(find_ours)
    if [ -n "$ours" ]; then
        check "$(api PATCH "$repository/issues/comments/$ours" --data-binary "@$work/body")"
    else
        check "$(api POST "$comments" --data-binary "@$work/body")"
    fi
}

[ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat -- "$report" >>"$GITHUB_STEP_SUMMARY"
if [ -z "${GITHUB_TOKEN:-}" ]; then
    echo "comment-github.sh: no GITHUB_TOKEN: the report is in the summary of this job" >&2
    exit 0
fi
cat >"$work/headers" <<HEADERS
Authorization: Bearer $GITHUB_TOKEN
Accept: application/vnd.github+json
Content-Type: application/json
X-GitHub-Api-Version: 2022-11-28
HEADERS
publish
