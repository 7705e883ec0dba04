# What only bash has: process substitution, coproc, job control in a script, PIPESTATUS, wait -n.
diff <(seq 1 5) <(seq 2 6)
coproc up { while read -r x; do echo "${x^^}"; done; }
echo hello >&"${up[1]}"; read -r y <&"${up[0]}"; echo "$y"
eval "exec ${up[1]}>&-"; wait "$up_PID" 2>/dev/null
false | true | sh -c 'exit 9'; echo "${PIPESTATUS[@]}"
yes | head -n 1; echo "${PIPESTATUS[@]}"
( exit 5 ) & wait -n; echo "wait -n $?"
set -m
sleep 60 & kill -STOP %1; while ! jobs -s | grep -q Stopped; do :; done; echo stopped
bg %1 >/dev/null; while jobs -s | grep -q Stopped; do :; done; echo running
kill %1; wait %1 2>/dev/null; echo "job $?"
sh -c 'kill -STOP $$; echo continued' &
while ! jobs -s | grep -q Stopped; do :; done
fg >/dev/null; echo "fg $?"
set +m
mapfile -t lines < <(seq 1 3000); echo "${#lines[@]} ${lines[2999]}"
a=(); for i in {1..3000}; do a+=("$i$i"); done; printf '%s' "${a[@]}" | md5sum
exec 7<<<"descriptor seven"; cat <&7
( exec -a renamed bash -c 'echo "$0 $(tr "\0" " " < /proc/$$/cmdline | cut -d" " -f1)"' )
trap 'echo err at $LINENO' ERR; false; trap - ERR
ulimit -s 4096; bash -c 'ulimit -s'
printf 'done\n' | while read -r w; do echo "$w"; done
