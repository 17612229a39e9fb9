#!/bin/sh
# Does a plan with GNU parallel, on this machine or over ssh, and commits it.
#
#   tools/cluster/parallel.sh PLAN [OPTIONS OF PARALLEL, such as --jobs 4 or --sshloginfile HOSTS]
#
# A task is tried three times, but for those that fail wherever they are tried (65). The log of the tasks is PLAN.joblog.
set -eu
[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
plan=$(realpath "$1")
shift
helix=${HELIX:-helix-build}
# One number a line.
"$helix" missing --plan "$plan" | tr , '\n' | while IFS=- read -r first last; do
    [ -z "$first" ] || seq "$first" "${last:-$first}"
done | parallel --retries 3 --joblog "$plan.joblog" --tag "$@" \
    "$helix worker --plan $plan --segment {} -q; code=\$?; [ \$code -eq 3 ] || [ \$code -eq 65 ] || exit \$code" || true
exec "$helix" commit --plan "$plan"
