#!/bin/sh
# Submits the tasks of a plan that are not done to Slurm, as arrays, and a commit behind them.
#
#   tools/cluster/slurm_submit.sh PLAN [SBATCH OPTIONS OF THE TASKS...]
#
# The commit runs after the tasks whatever becomes of them (afterany: one failure must not block it for ever). If parts are
# missing then, it submits their tasks again, ROUNDS times at most. Environment:
#
#   PER_TASK=1     segments of a task
#   ROUNDS=3       how often the tasks are submitted at most
#   RESTARTS=10    how often Slurm may queue a stopped task again
#   LOGS=logs      folder of the logs: task-JOB_INDEX.log, commit-JOB.log
#   HELIX=helix-build   the program, as the nodes find it
set -eu
[ $# -ge 1 ] || { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
plan=$(realpath "$1")
shift
helix=${HELIX:-helix-build}
per_task=${PER_TASK:-1}
round=${ROUND:-1}
logs=$(realpath -m "${LOGS:-logs}")
mkdir -p "$logs"
# Indexes of an array are below this.
longest=$(scontrol show config | awk '$1 == "MaxArraySize" { print $3 }')
longest=${longest:-1001}

export PLAN="$plan" PER_TASK="$per_task" HELIX="$helix" LOGS="$logs" ROUNDS="${ROUNDS:-3}" ROUND="$round" \
    RESTARTS="${RESTARTS:-10}" HELIX_TOOLS="$here"
# For the next round.
export TASK_OPTIONS="$*"

jobs=
offset=0
while :; do
    # Tasks from the offset on; empty if there are none.
    if [ -z "$("$helix" missing --plan "$plan" --per-task "$per_task" --offset "$offset")" ]; then break; fi
    array=$("$helix" missing --plan "$plan" --per-task "$per_task" --offset "$offset" --tasks "$longest")
    if [ -n "$array" ]; then
        job=$(OFFSET=$offset sbatch --parsable --job-name=helix-task --array="$array" --requeue --open-mode=append \
            --signal=B:USR1@60 --output="$logs/task-%A_%a.log" "$@" "$here/slurm_task.sh")
        jobs="$jobs:${job%%;*}"
        echo "tasks: job ${job%%;*}, array $array from task $offset on; logs in $logs/task-${job%%;*}_INDEX.log"
    fi
    offset=$((offset + longest))
done
commit=$(sbatch --parsable --job-name=helix-commit ${jobs:+--dependency=afterany$jobs} --kill-on-invalid-dep=yes \
    --output="$logs/commit-%j.log" "$here/slurm_commit.sh")
echo "commit: job ${commit%%;*}; log in $logs/commit-${commit%%;*}.log"
