#!/bin/sh
# A task of slurm_submit.sh. `exec`: signals of Slurm must reach the program itself, also `scancel --batch --signal=USR1`.
# It ends with 75 then, and Slurm queues it again if its configuration says RequeueExit=75.
if [ "${SLURM_RESTART_COUNT:-0}" -gt "${RESTARTS:-10}" ]; then
    echo "given up after $SLURM_RESTART_COUNT restarts" >&2
    exit 1
fi
echo "task $SLURM_ARRAY_TASK_ID on $(hostname), restart ${SLURM_RESTART_COUNT:-0}"
exec "$HELIX" worker --plan "$PLAN" --offset "${OFFSET:-0}" --per-task "$PER_TASK" -q
