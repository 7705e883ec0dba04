# Programs of the base system, each with its own habits of memory.
set -u
env -i A=1 B=2 sh -c 'env | sort' | grep -v -e PWD -e _=
nice -n 5 sh -c 'nice'
nohup sh -c 'echo nohup' 2>/dev/null < /dev/null | cat
stdbuf -oL echo stdbuf
printf 'x%.0s' $(seq 1 1000) | fold -w 100 | nl | tail -1
dd if=/dev/zero bs=1M count=8 2>/dev/null | sha512sum
truncate -s 5M sparse; stat -c '%s %b' sparse; cp --sparse=always sparse s2; cmp sparse s2 && echo same
head -c 1000000 /dev/zero | od | tail -1
seq 100000 | shuf --random-source=/dev/zero | sha1sum
echo 'p = 7; p^77' | bc 2>/dev/null || echo no bc
getconf PAGESIZE; nproc | grep -c .
ld_debug=$(LD_BIND_NOW=1 date -u -d @0 +%F); echo "$ld_debug"
expr 3 \* 4; test -d /proc/self/fd && echo fd
localedef --version 2>/dev/null | head -1
grep -R --include='*.none' x . ; echo "grep $?"
find / -maxdepth 1 -type d 2>/dev/null | grep -c /
ldd /bin/true | sed 's/ (0x.*)//' | sort
ls /nonexistent; echo "ls $?"
id -u; umask
