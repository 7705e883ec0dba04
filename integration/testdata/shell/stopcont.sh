# One process stops and continues others, and sees it in /proc and by their work.
exec 2>/dev/null # how and when a shell tells of a job that was killed, differs between two runs
# (A stopped process that is being traced is in state t rather than T, in any tracer.)
state() { sed -n 's/^State:.\(.\).*/\1/p' /proc/$1/status | tr t T; }
until_state() { while [ "$(state $1)" != "$2" ]; do :; done; echo "$1 is $2" | sed "s/$1/pid/"; }
sleep 60 & p=$!
until_state $p S
kill -STOP $p; until_state $p T
kill -CONT $p; until_state $p S
kill -STOP $p; until_state $p T
kill -TERM $p           # is delivered only when it goes on
kill -CONT $p
wait $p; echo "status $?"
sleep 60 & p=$!
kill -STOP $p; until_state $p T
kill -KILL $p           # ends it though it is stopped
wait $p; echo "status $?"
# A stopped busy process does no work; continued, it finishes.
( i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; echo $i > counted ) & p=$!
kill -STOP $p; kill -CONT $p; kill -STOP $p; kill -CONT $p
wait $p; echo "status $?"; cat counted
timeout -s KILL 0.05 sleep 30; echo "timeout $?"
timeout 0.05 sleep 30; echo "timeout $?"
