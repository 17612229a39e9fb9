#!/bin/sh
# The commit of slurm_submit.sh. Submits what is missing again while there are rounds left.
"$HELIX" commit --plan "$PLAN"
code=$?
if [ $code -eq 66 ] && [ "$ROUND" -lt "$ROUNDS" ] && [ -n "$("$HELIX" missing --plan "$PLAN" -qq)" ]; then
    echo "round $ROUND of $ROUNDS is over"
    # Variables of this job must not become those of the next ones.
    for name in $(env | sed -n 's/^\(SLURM_[A-Z_]*\)=.*/\1/p'); do
        [ "$name" = SLURM_CONF ] || unset "$name"
    done
    # shellcheck disable=SC2086
    ROUND=$((ROUND + 1)) exec "$HELIX_TOOLS/slurm_submit.sh" "$PLAN" $TASK_OPTIONS
fi
[ $code -eq 66 ] && "$HELIX" status --plan "$PLAN"
exit $code
