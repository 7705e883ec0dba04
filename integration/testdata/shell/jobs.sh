# Background jobs: their exit statuses, waiting for one and for all, death by signals.
exec 2>/dev/null # how and when a shell tells of a job that was killed, differs between two runs
( exit 7 ) & a=$!
( kill -TERM $(sh -c 'echo $PPID') ) & b=$!
sleep 30 & c=$!
kill -KILL $c
wait $a; echo "a $?"
wait $b; echo "b $?"
wait $c; echo "c $?"
for i in 1 2 3 4 5 6 7 8; do
	( seq $((i * 1000)) | wc -l > out.$i ) &
done
wait
cat out.1 out.2 out.3 out.4 out.5 out.6 out.7 out.8
( ( echo grandchild ) & wait; echo child ) & wait
( exec sleep 30 ) & sub=$!
kill $sub; wait $sub; echo "subshell $?"
true | false & wait $!; echo "pipeline $?"
wait 999999; echo "no such child $?"
echo done
