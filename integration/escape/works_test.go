package escape

import (
	"bytes"
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// ordinary are shell scripts that have to work in the sandbox as they do natively.
var ordinary = []struct {
	name, script string
	tool         string // without it the script is skipped
}{
	{name: "fork and exec", script: `for i in 1 2 3; do (echo $i | cat); done; /usr/bin/env true; echo $?`},
	{name: "current directory", script: `echo text >f; mkdir d; mv f d/g; cat d/g; chmod 600 d/g; ln d/g h; ln -s h s; cat s; truncate -s 10 h; wc -c <s; rm -r d h s; find .`},
	{name: "temporary directory", script: `test -d "$TMPDIR" && f=$(mktemp) && echo text >$f && cat $f && rm $f; sort </etc/passwd | wc -l`},
	{name: "here document and pipes", script: "cat <<E | tr a-z A-Z | tee out | wc -c\nsome text\nE\ncat out"},
	{name: "system files", script: `head -c 4 /bin/sh | od -c; ls /usr | sort | head -3; wc -l </etc/passwd; cat /etc/os-release | wc -l`},
	{name: "proc", script: `grep -c . /proc/self/status >/dev/null && cut -d' ' -f2 /proc/self/stat; grep -c processor /proc/cpuinfo; test -s /proc/meminfo; echo $?`},
	{name: "devices", script: `head -c 8 /dev/urandom | wc -c; head -c 8 /dev/zero | od -c; echo x >/dev/null; (echo y >/dev/stdout; echo z >/dev/fd/1) | cat; cat </dev/null`},
	{name: "signals", script: `exec 2>/dev/null; sleep 9 & kill $!; wait $!; echo $?; trap 'echo got' USR1; kill -USR1 $$; kill -0 $$; sh -c 'kill -9 $$'; echo $?`},
	{name: "own processes", script: `sleep 9 & nice -n 5 sleep 0; renice -n 3 $! >/dev/null; taskset -pc 0 $! >/dev/null; echo $?; cat /proc/$!/comm; kill $!`},
	{name: "a script of its own", script: `printf '#!/bin/sh\necho "script $1"\n' >s; chmod +x s; ./s one; sh ./s two; . ./s three`},
	{name: "limits", script: `ulimit -n 64; ulimit -n; ulimit -c 0; (ulimit -t 5; echo done)`},
	{name: "python", tool: "/usr/bin/python3", script: `/usr/bin/python3 -c 'print(1)'`},
	{name: "python modules", tool: "/usr/bin/python3", script: `/usr/bin/python3 -c '
import ctypes, decimal, hashlib, json, sqlite3, subprocess, tempfile, threading, zlib
print(hashlib.sha256(b"x").hexdigest(), json.dumps({"a": 1}), sqlite3.connect(":memory:").execute("select 1+1").fetchone())
t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
print(subprocess.run(["echo", "child"], capture_output=True).stdout, ctypes.CDLL(None).abs(-3))
with tempfile.NamedTemporaryFile() as f: f.write(b"x")'`},
	{name: "unix sockets", tool: "/usr/bin/python3", script: `/usr/bin/python3 -c '
import os, socket
a, b = socket.socketpair(); a.send(b"pair"); print(b.recv(9))
s = socket.socket(socket.AF_UNIX); s.bind("sock"); s.listen()
c = socket.socket(socket.AF_UNIX); c.connect("sock"); d, _ = s.accept(); c.send(b"path"); print(d.recv(9))
socket.send_fds(a, [b"x"], [0]); print(len(socket.recv_fds(b, 1, 1)[1]))'`},
	{name: "shared memory", tool: "/usr/bin/python3", script: `/usr/bin/python3 -c '
import mmap, os
m = mmap.mmap(-1, 4096)
if os.fork() == 0: m[0] = 7; os._exit(0)
os.wait(); print(m[0])
fd = os.memfd_create("m"); os.ftruncate(fd, 4096); n = mmap.mmap(fd, 4096); n[1] = 8; print(os.pread(fd, 2, 0))
open("f", "wb").write(bytes(4096)); f = open("f", "r+b"); p = mmap.mmap(f.fileno(), 4096); p[2] = 9; p.flush(); print(f.read(3))'`},
	{name: "perl", tool: "perl", script: `perl -MPOSIX -MList::Util=sum -e 'print sum(1..10), " ", POSIX::floor(2.5), "\n"; print qx(echo child)'`},
	{name: "git", tool: "git", script: `git init -q r && cd r && git config user.email a@b && git config user.name a && echo x >f && git add f && git commit -qm one && git log --format=%s && git status --short`},
	{name: "sqlite3", tool: "sqlite3", script: `sqlite3 db 'create table t(a); insert into t values(1),(2); select sum(a) from t; pragma journal_mode=wal; insert into t values(3); select count(*) from t'`},
	{name: "gcc", tool: "gcc", script: `echo 'int main(void){return 3;}' >a.c && gcc a.c && test -x a.out && nm a.out | grep -c ' main'`},
	{name: "make", tool: "make", script: "printf 'all: a b\\na b:\\n\\techo $@ >$@\\n' >Makefile; make -s -j2; cat a b"},
	{name: "awk, sed, tar", script: `seq 100 >n; awk '{s+=$1} END {print s}' n; sed -n 5p n; mkdir d; tar cf t.tar n; tar xf t.tar -C d; cmp n d/n; gzip n; zcat n.gz | tail -1`},
}

// TestOrdinaryWorks runs ordinary things natively and confined, and compares.
func TestOrdinaryWorks(t *testing.T) {
	t.Parallel()
	for _, o := range ordinary {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(o.tool); o.tool != "" && err != nil {
				t.Skip(err)
			}
			for _, u := range users() {
				t.Run(u.name, func(t *testing.T) {
					native := script(t, u, nil, o.script)
					if native.status != "exit 0" || native.stderr != "" {
						t.Fatalf("natively: %v", native)
					}
					if confined := script(t, u, confinedBy(), o.script); confined != native {
						t.Errorf("confined: %v\nnatively: %v", confined, native)
					}
				})
			}
		})
	}
	// A library of the system is loaded, and threads run.
	t.Run("threads and dlopen", func(t *testing.T) {
		t.Parallel()
		for _, u := range users() {
			p := newPlace(t, u, attack{name: "ordinary"})
			if r := p.run(t, attack{}, confinedBy()); r.status != "exit 0" || r.stdout != "works\n" {
				t.Errorf("as %s: %v", u.name, r)
			}
		}
	})
}

// script runs a shell script in a directory of its own.
func script(t *testing.T, u user, prefix []string, text string) result {
	t.Helper()
	p := newPlace(t, u, attack{name: "ordinary"})
	ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
	defer cancel()
	tag := newTag()
	defer killTagged(tag)
	env := slices.DeleteFunc(slices.Clone(p.env), func(v string) bool { return strings.HasPrefix(v, "HOME=") })
	cmd := command(ctx, p.work, tag, append(env, "HOME="+p.work), slices.Concat(u.prefix, prefix, []string{"sh", "-c", text}))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), statusOf(cmd.ProcessState)}
}
