# Coreutils in pipelines: many short-lived processes that exec from PATH, sort with its threads.
set -eu
seq 1 5000 | sort -rn | uniq | wc -l
seq 1 200000 | sort --parallel=2 -S 4M -r | sha256sum
yes abcdefgh | head -n 20000 | tr a-h A-H | cut -c1-4 | uniq -c
printf 'b 2\na 1\nc 3\n' > left; printf 'a x\nb y\nd z\n' > right
sort left | join - right
seq 1 100 | split -l 30 - part. && cat part.* | md5sum && ls part.*
head -c 3000000 /dev/zero | base64 | tee copy | wc -c
base64 -d copy | cmp - /dev/zero 2>&1 | sed 's/,.*//' || true
seq 1 40 | xargs -n 5 -P 2 expr 0 + 2>/dev/null | wc -l || true
seq 1 20 | xargs -n 1 -P 2 sh -c 'test $((20 - $0)) -ge 0 && echo ok' | sort | uniq -c
factor 1000000007 18446744073709551557
mkdir -p d/e/f && cp -r d d2 && mv d2 d3 && find d d3 | sort
tar cf - d d3 left right | gzip -9 | gunzip | tar tf - | sort
seq 1 30000 | xz -T2 | xz -d | sha256sum
od -An -tx1 left | head -1
seq 3 | paste -sd+ | bc 2>/dev/null || seq 3 | paste -sd+
printf '%s\n' one two three | awk '{ n += length($0) } END { print n, NR }'
grep -c 9 <<HERE
9
19
20
HERE
