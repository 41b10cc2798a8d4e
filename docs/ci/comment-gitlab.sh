#!/bin/sh
# Posts a report as a note of a merge request, or edits the one that is there: one note, always the newest report.
#
# Usage: comment-gitlab.sh REPORT
# Environment: RECONCILER_TOKEN, an access token of the project with the scope api (a job's own token cannot write
# notes); CI_API_V4_URL, CI_MERGE_REQUEST_PROJECT_ID, CI_MERGE_REQUEST_IID as set by GitLab. Without a token (a merge
# request from a fork) the report is in the artifacts of the job only.
# Needs curl and jq.
set -eu
set +x # the token is in no trace; it is in no argument list either
umask 077

report=$1
marker='<!-- reconciler plan -->'
notes=$CI_API_V4_URL/projects/$CI_MERGE_REQUEST_PROJECT_ID/merge_requests/$CI_MERGE_REQUEST_IID/notes

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

# Prints the id of our note, if there is one. Only our own: anybody may write the marker into theirs.
find_ours() {
    check "$(api GET "$CI_API_V4_URL/user" --retry 2)"
    author=$(jq .id "$work/answer")
    page=1
    while :; do
        check "$(api GET "$notes?per_page=100&page=$page&sort=asc&order_by=created_at" --retry 2)"
        jq --raw-output --arg marker "$marker" --argjson author "$author" \
            'map(select(.author.id == $author and (.body // "" | startswith($marker)))) | first | .id // empty' \
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
            echo "comment-gitlab.sh: no right to comment ($1): the report is in the artifacts of this job" >&2
            exit 77
            ;;
        000)
            echo "comment-gitlab.sh: $notes cannot be reached" >&2
            exit 1
            ;;
    esac
    echo "comment-gitlab.sh: $notes answered $1: $(jq --raw-output '.message // empty' "$work/answer" 2>&1)" >&2
    exit 1
}

publish() {
    jq --null-input --rawfile body "$report" '{body: $body}' >"$work/body"
    ours=$(find_ours)
    if [ -n "$ours" ]; then
        check "$(api PUT "$notes/$ours" --data-binary "@$work/body")"
    else
        check "$(api POST "$notes" --data-binary "@$work/body")"
    fi
}

if [ -z "${RECONCILER_TOKEN:-}" ]; then
    echo "comment-gitlab.sh: no RECONCILER_TOKEN: the report is in the artifacts of this job" >&2
    exit 0
fi
cat >"$work/headers" <<HEADERS
PRIVATE-TOKEN: $RECONCILER_TOKEN
Content-Type: application/json
HEADERS
publish
