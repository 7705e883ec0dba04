# Traps: signals to oneself, from a child, during a wait, in a subshell; EXIT last of all.
trap 'echo "exit trap $?"' EXIT
trap 'echo usr1' USR1
kill -USR1 $$
sh -c "kill -USR1 $$"
echo after
trap 'echo int' INT
kill -INT $$
trap '' TERM
kill -TERM $$
echo "TERM is ignored"
sh -c 'kill -TERM $$; echo "ignored in the child too"'
trap - TERM
( trap 'echo inner; exit 3' TERM; kill -TERM $(sh -c 'echo $PPID'); sleep 5 ); echo "subshell $?"
sh -c 'kill -HUP $$'; echo "hup $?"
sh -c 'kill -SEGV $$' 2>/dev/null; echo "segv $?"
trap 'echo alarm' ALRM
( sh -c 'kill -ALRM $PPID' ) ; ( kill -ALRM $$ )
mkfifo f
( read x < f; kill -USR1 $$; echo "reader got $x" > reader ) &
echo word > f
wait; wait
cat reader
exit 4
