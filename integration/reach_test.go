package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// rootAndUser runs a test as root and as an ordinary user, or as the latter alone.
func rootAndUser(t *testing.T, f func(t *testing.T, p program)) {
	for name, asUser := range map[string]bool{"root": false, "ordinary user": true} {
		if name == "root" && os.Getuid() != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, program{asUser: asUser})
		})
	}
}

// underDefaults runs a program under the default policy, in dir, and returns what it did and its report.
func (p program) underDefaults(t *testing.T, dir string, argv ...string) (result, report) {
	t.Helper()
	file := filepath.Join(dir, "report.json")
	args := append(p.userPrefix(t), runsbx, "run", "--verify", "every", "--report", file)
	r := runBounded(t, append(append(append(args, p.flags...), "--"), argv...), dir, p.environment(dir), "", p.guard)
	return r, readReport(t, file)
}

// wantLines requires lines in an output.
func wantLines(t *testing.T, out, want string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(want), "\n") {
		if !strings.Contains("\n"+out, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	if t.Failed() {
		t.Logf("output:\n%s", tail(out))
	}
}

// refusedFor counts a report's refusals by resource.
func refusedFor(r report, resource string) (n int) {
	for _, x := range r.Refusals {
		if x.Resource == resource {
			n++
		}
	}
	return n
}

// TestUnixSockets: the sandbox's own sockets are as natively, and those of others out of reach.
func TestUnixSockets(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	script := testdata(t, "reach", "unix.py")
	rootAndUser(t, func(t *testing.T, p program) {
		dir, outside := base(t), base(t)
		accepted := make(chan string, 10)
		listen := func(name string) {
			l, err := net.Listen("unix", name)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			if name[0] == '/' {
				os.Chmod(name, 0o777)
			}
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					select {
					case accepted <- name:
					default:
					}
					c.Close()
				}
			}()
		}
		elsewhere, here := filepath.Join(outside, "s"), filepath.Join(dir, "theirs")
		abstract := fmt.Sprintf("runsbx-it-%d-%v", os.Getpid(), p.asUser)
		listen(elsewhere)
		listen(here)
		listen("@" + abstract)
		if err := os.WriteFile(filepath.Join(dir, "unix.py"), []byte(script), 0o644); err != nil {
			t.Fatal(err)
		}
		r, rep := p.underDefaults(t, dir, "python3", "unix.py", elsewhere, here, abstract, "1500")
		program{}.expect(t, "sandboxed", r)
		own := strings.Repeat("b'hello' True True True\nother kind: EPROTOTYPE\nclosed: ECONNREFUSED\n", 6)
		if !strings.HasPrefix(r.stdout, own) {
			t.Errorf("its own sockets:\n%s", r.stdout)
		}
		wantLines(t, r.stdout, `
by descriptor: <class 'socket.socket'> by link: <class 'socket.socket'>
none ENOENT
d ECONNREFUSED
fifo ECONNREFUSED
d/../nowhere/s ENOENT
full, not waiting: EAGAIN
full, waiting: <class 'socket.socket'>
full, interrupted
full, with a timeout: EAGAIN
killed: -9
raw: EBADF ENOTSOCK EFAULT EINVAL EINVAL EINVAL ENOENT EINVAL EINVAL
others: EACCES EACCES EACCES EACCES EACCES
race: 0 outside
socket EACCES
raw EACCES
pair EACCES
sendmsg: 1 b'x'
sendto: EACCES`)
		select {
		case name := <-accepted:
			t.Errorf("%s was reached", name)
		default:
		}
		if refusedFor(rep, "unix-socket") < 5 {
			t.Errorf("the report has %d refusals of sockets", refusedFor(rep, "unix-socket"))
		}
	})
}

// TestSocketsUnconfined: without confinement all is as natively.
func TestSocketsUnconfined(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	program{
		argv: []string{"python3", "-c", `import socket
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
s = socket.socket(socket.AF_UNIX); s.bind("s"); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect("s")
print(a.send(b"x"), c.getpeername())`},
		want: "1 s",
	}.check(t)
}

// TestSocketPermissions: a connection is made with the program's own permissions, also where it has given
// some up.
func TestSocketPermissions(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir := base(t)
	r, _ := program{}.underDefaults(t, dir, "python3", "-c", `import os, socket, struct
s = socket.socket(socket.AF_UNIX); s.bind("s"); s.listen(); os.chmod("s", 0o700)
os.mkdir("closed", 0o700); t = socket.socket(socket.AF_UNIX); t.bind("closed/t"); t.listen(); os.chmod("closed/t", 0o777)
u = socket.socket(socket.AF_UNIX); u.bind("u"); u.listen(); os.chmod("u", 0o777)
if os.fork() == 0:
    os.setgroups([7]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
    for name in "s", "closed/t", "u":
        try: c = socket.socket(socket.AF_UNIX); c.connect(name); print(name, "ok", flush=True)
        except OSError as e: print(name, e.errno, flush=True)
    os._exit(0)
os.wait()
print(struct.unpack("3i", u.accept()[0].getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1:])
os.chroot("closed"); os.chdir("/")
c = socket.socket(socket.AF_UNIX); c.connect("/t"); c = socket.socket(socket.AF_UNIX); c.connect("../../t"); print("chroot")
try: c = socket.socket(socket.AF_UNIX); c.connect("/closed/t")
except OSError as e: print(e.errno)`)
	program{}.expect(t, "sandboxed", r)
	wantLines(t, r.stdout, "s 13\nclosed/t 13\nu ok\n(65534, 65534)\nchroot\n2")
}

// TestSocketsBesideHidden: that one process cannot be looked at has no effect on what others connect to.
func TestSocketsBesideHidden(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	r := confined(t, base(t), true, nil, "python3", "-c", `import ctypes, os, socket
s = socket.socket(socket.AF_UNIX); s.bind("s"); s.listen()
def connect(who):
    try: c = socket.socket(socket.AF_UNIX); c.connect("s"); print(who, "ok", flush=True)
    except OSError as e: print(who, e.errno, flush=True)
if os.fork() == 0:
    ctypes.CDLL(None).prctl(4, 0); connect("hidden"); os._exit(0)
os.wait(); connect("other")`)
	wantLines(t, r.stdout, "hidden 13\nother ok")
}

// TestInterruptedConnect: signals and stops find a connect that waits as natively.
func TestInterruptedConnect(t *testing.T) {
	t.Parallel()
	connect := guest(t, "reach/connect")
	const want = "handler: EINTR\nhandler with SA_RESTART: ok\nanother's signal: ok\nstop: ok\ncontinued: ok"
	rootAndUser(t, func(t *testing.T, p program) {
		p.argv = []string{connect}
		wantLines(t, p.run(t, base(t), nil).stdout, want)
		r, _ := p.underDefaults(t, base(t), connect)
		program{}.expect(t, "sandboxed", r)
		wantLines(t, r.stdout, want)
	})
}

// TestNumbersOfProcesses: processes of others cannot be changed by their numbers.
func TestNumbersOfProcesses(t *testing.T) {
	t.Parallel()
	pids := guest(t, "reach/pids")
	rootAndUser(t, func(t *testing.T, p program) {
		outside := exec.Command("sleep", "60")
		outside.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if p.asUser && os.Getuid() == 0 {
			id, _ := strconv.Atoi(nobody)
			outside.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}
		}
		if err := outside.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { outside.Process.Kill(); outside.Wait() }()
		dir := base(t)
		r, rep := p.underDefaults(t, dir, pids, strconv.Itoa(outside.Process.Pid))
		program{}.expect(t, "sandboxed", r)
		const fine = "affinity ok scheduler ok param ok attr ok priority ok ioprio ok limits ok pidfd "
		wantLines(t, r.stdout, "self: "+fine+"EINVAL migrate EINVAL move ok read ok ok\n"+
			"self by number: "+fine+"ok migrate EINVAL move ok read ok ok\n"+
			"child: "+fine+"ok migrate EINVAL move ok read ok ok\n"+
			"outside: "+strings.ReplaceAll(fine, "ok", "EPERM")+"EPERM migrate EPERM move EPERM read ok ok\n"+
			"nobody: "+strings.ReplaceAll(fine, "ok", "ESRCH")+"ESRCH migrate ESRCH move ESRCH read ESRCH ESRCH\n"+
			"thread: ok\nuser: EPERM EPERM\ngroup of others: EPERM EPERM\nown group: ok ok\nend: ok ok 15")
		if n := refusedFor(rep, "process"); n != 14 {
			t.Errorf("the report has %d refusals of processes", n)
		}
	})
}

// sysv makes or removes System V objects, one of each kind: segments, semaphores, queues.
type sysv struct{ ids [3]int }

func newSysV(t *testing.T, key int) sysv {
	t.Helper()
	var s sysv
	const create = 0o1000 | 0o2000 | 0o666
	for i, args := range [3][4]uintptr{
		{syscall.SYS_SHMGET, uintptr(key), 4096, create}, {syscall.SYS_SEMGET, uintptr(key), 1, create}, {syscall.SYS_MSGGET, uintptr(key), create},
	} {
		id, _, errno := syscall.Syscall(args[0], args[1], args[2], args[3])
		if errno != 0 {
			t.Fatal(errno)
		}
		s.ids[i] = int(id)
	}
	t.Cleanup(func() {
		if gone := s.remove(); gone != 0 {
			t.Errorf("%d of them had gone", gone)
		}
	})
	return s
}

// remove returns how many were not there.
func (s sysv) remove() (gone int) {
	for i, nr := range [3]uintptr{syscall.SYS_SHMCTL, syscall.SYS_SEMCTL, syscall.SYS_MSGCTL} {
		args := [3]uintptr{uintptr(s.ids[i])} // IPC_RMID is 0
		if _, _, errno := syscall.Syscall6(nr, args[0], args[1], args[2], 0, 0, 0); errno != 0 {
			gone++
		}
	}
	return gone
}

// TestSystemV: the sandbox's objects are as natively and end with it; those of others are out of reach.
func TestSystemV(t *testing.T) {
	t.Parallel()
	ipc := guest(t, "reach/ipc")
	const own = "again: EEXIST 1 1\nnone: ENOENT\nchild 7, message 8 hello\nattached ok 0\nremoved ok ok ok EINVAL\nleft ok ok ok"
	rootAndUser(t, func(t *testing.T, p program) {
		dir := base(t)
		key := 0x5b1d0000 + os.Getpid()&0x7fff<<1 // both runs are at a time
		if p.asUser {
			key++
		}
		for _, flags := range [][]string{nil, {"--limit", "commit=1G"}} {
			p.flags = flags
			r, _ := p.underDefaults(t, dir, ipc, "own", strconv.Itoa(key))
			program{}.expect(t, "sandboxed", r)
			wantLines(t, r.stdout, own)
			for _, kind := range []string{"shm", "sem", "msg"} {
				b, err := os.ReadFile("/proc/sysvipc/" + kind)
				if err != nil {
					t.Fatal(err)
				}
				for line := range strings.SplitSeq(string(b), "\n") {
					if f := strings.Fields(line); len(f) > 0 && f[0] == strconv.Itoa(key) {
						t.Errorf("left behind in %s: %s", kind, line)
					}
				}
			}
		}
		p.flags = nil
		s := newSysV(t, key)
		r, rep := p.underDefaults(t, dir, ipc, "others", strconv.Itoa(s.ids[0]), strconv.Itoa(s.ids[1]), strconv.Itoa(s.ids[2]), strconv.Itoa(key))
		program{}.expect(t, "sandboxed", r)
		wantLines(t, r.stdout, `
shmat EACCES
shmctl EACCES
shmctl RMID EACCES
shmget EACCES
shmget CREAT EACCES
semop EACCES
semctl EACCES
semctl RMID EACCES
semget EACCES
semget EXCL EEXIST
msgsnd EACCES
msgrcv EACCES
msgctl RMID EACCES
msgget EACCES
semop of none EINVAL
semctl INFO ok
mq_open ENOSYS`)
		if n := refusedFor(rep, "ipc"); n != 13 {
			t.Errorf("the report has %d refusals of System V objects", n)
		}
	})
}

// TestSocketsHandedOver: a socket that the caller hands over cannot be pointed anywhere else.
func TestSocketsHandedOver(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	rootAndUser(t, func(t *testing.T, p program) {
		for kind, want := range map[string]string{
			"SOCK_STREAM": "connect 13\nunspec ok\nsendto 13\nfastopen 13\nsendmsg 32",
			"SOCK_DGRAM":  "connect 13\nunspec ok\nsendto 13\nfastopen 13\nsendmsg 13",
		} {
			dir := base(t)
			// The socket becomes the program's standard input.
			outer := `import os, socket, sys
s = socket.socket(socket.AF_INET, socket.` + kind + `); os.dup2(s.fileno(), 0); os.execvp(sys.argv[1], sys.argv[1:])`
			inner := `import ctypes, errno, socket, struct
s, libc = socket.socket(fileno=0), ctypes.CDLL(None, use_errno=True)
to = ("127.0.0.1", 9)
def say(what, f):
    try: f(); print(what, "ok")
    except OSError as e: print(what, e.errno)
say("connect", lambda: s.connect(to))
print("unspec", "ok" if libc.connect(0, b"\0" * 16, 16) == 0 else ctypes.get_errno())
say("sendto", lambda: s.sendto(b"x", to))
say("fastopen", lambda: s.sendmsg([b"x"], [], 0x20000000, to))
say("sendmsg", lambda: s.sendmsg([b"x"], [], socket.MSG_NOSIGNAL, to))`
			argv := append(p.userPrefix(t), "python3", "-c", outer, runsbx, "run", "--", "python3", "-c", inner)
			r := runBounded(t, argv, dir, p.environment(dir), "", 0)
			program{}.expect(t, "sandboxed", r)
			wantLines(t, r.stdout, want)
		}
	})
}
