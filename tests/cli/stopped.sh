#!/bin/bash
# LEVELS: none cap root
# Programs that are stopped: by --leave-stopped, or by a SIGSTOP that came before the checkpoint.
. "$STASIS_SOURCE/tests/cli/_lib.sh"

# ---- --leave-stopped ----
counter target
expect 0 "$STASIS" checkpoint --leave-stopped -o image "$pid"
wait_for 5 state_is "$pid" T || fail "it was not left stopped"
stands_still target
kill -CONT "$pid"
goes_on target "after SIGCONT"
# The image itself is of a running program.
kill -KILL "$pid"
killed "$pid"
expect 0 "$STASIS" restore --detach image
goes_on target "restored from --leave-stopped"
kill -TERM "$(cat said.out)"
nobody_left

# ---- A stopped program stays stopped while it is checkpointed, and comes back stopped ----
for policy in auto private; do
	counter "$policy"
	kill -STOP "$pid"
	wait_for 5 state_is "$pid" T || fail "not stopped"
	expect 0 "$STASIS" checkpoint -o "$policy.image" "$pid"
	# Let go, it is woken for a moment, to stop again by itself.
	wait_for 5 state_is "$pid" T || fail "the checkpoint continued it"
	stands_still "$policy"
	kill -CONT "$pid"
	goes_on "$policy" "continued after the checkpoint"

	kill -STOP "$pid"
	wait_for 5 state_is "$pid" T || fail "not stopped again"
	expect 0 "$STASIS" checkpoint --kill -o "$policy.image" "$pid"
	killed "$pid"
	expect 0 "$STASIS" restore --detach --pid="$policy" "$policy.image"
	pid=$(cat said.out)
	wait_for 5 state_is "$pid" T || fail "it did not come back stopped"
	stands_still "$policy" "it should be stopped"
	kill -CONT "$pid"
	goes_on "$policy" "restored and continued"
	kill -TERM "$pid"
	nobody_left
done

# ---- In the foreground, without a terminal, its stop is not ours: SIGCONT is passed on ----
"$STASIS" restore auto.image >said.out 2>said.err </dev/null 3>&- &
pid=$!
started+=("$pid")
sleep 0.3
state_is "$pid" S || fail "stasis does not wait for it"
stands_still auto
kill -CONT "$pid"
goes_on auto "continued through stasis"
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
[[ $code == 7 ]] || fail "it ended with $code"
nobody_left
