package integration

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestConfinedPrograms: what works natively works in the default profile.
func TestConfinedPrograms(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]program{
		"sh":     {argv: []string{"sh", "-c", `echo a >f; cat f | tr a b; mkdir -p d/e; mv f d/e; ls -R; rm -r d; test ! -e d; echo x >&2; exit 3`}, status: "exit 3", want: "b"},
		"bash":   {argv: []string{"bash", "-c", "cat <(echo one); cat <<X\ntwo\nX\nread x <<<three; echo $x; (trap 'echo four' USR1; kill -USR1 $BASHPID)"}, want: "four"},
		"python": {argv: []string{"python3", "-c", "import tempfile,subprocess,json,threading,os\nwith tempfile.NamedTemporaryFile() as f: f.write(b'x'); f.flush(); print(os.path.getsize(f.name))\nprint(subprocess.run(['echo','hi'],capture_output=True).stdout)"}, want: "hi"},
		"gcc":    {argv: []string{"sh", "-c", "gcc -O1 p.c -o p && ./p"}, files: map[string]string{"p.c": "#include <stdio.h>\nint main(void) { puts(\"compiled\"); }\n"}, want: "compiled"},
		"git": {argv: []string{"sh", "-c", "git init -q r && cd r && git config user.email a@b && git config user.name n && echo x >f && git add f && git commit -qm first && git gc -q && git log --format=%s && git clone -q . c && cat c/f"},
			want: "first"},
		"sqlite": {argv: []string{"sqlite3", "db", "pragma journal_mode=wal; create table t(a); insert into t values (1),(2); select sum(a) from t; vacuum;"}, want: "3"},
		"make":   {argv: []string{"make", "-j4", "-s"}, files: map[string]string{"Makefile": "all: a b c\n\tcat a b c\n%:\n\techo $@ >$@\n"}, want: "a\nb\nc"},
		"tar":    {argv: []string{"sh", "-c", "mkdir d; echo x >d/f; chmod 640 d/f; touch -d @1000 d/f; ln -s f d/l; tar czf t.tgz d; rm -r d; tar xzf t.tgz; stat -c '%a %Y %N' d/f; stat -c %N d/l; cp -a d e; stat -c '%a %Y' e/f"}, want: "640 1000"},
		"perl":   {argv: []string{"perl", "-e", `use File::Temp; my $f = File::Temp->new; print $f "x"; print "perl\n"`}, want: "perl"},
		"node":   {argv: []string{"node", "-e", "const fs=require('fs'),os=require('os'),p=require('path');const d=fs.mkdtempSync(p.join(os.tmpdir(),'x'));fs.writeFileSync(p.join(d,'f'),'y');console.log(fs.readdirSync(d))"}, want: "f"},
		"script": {argv: []string{"./script", "a b"}, files: map[string]string{"script": "#!/bin/sh -u\necho \"$0|$1\"\n"}, want: "./script|a b"},
		"guest":  {argv: []string{guest(t, "threads200")}, want: "sum 19900"},
	} {
		for user, as := range map[string]bool{"": false, " as an ordinary user": true} {
			p := p
			p.asUser, p.confined = as, true
			t.Run(name+user, func(t *testing.T) {
				t.Parallel()
				p.check(t)
			})
		}
	}
}

// confined runs a program in the default profile, in dir/w.
func confined(t *testing.T, dir string, user bool, flags []string, argv ...string) result {
	t.Helper()
	p := program{argv: argv, asUser: user}
	return p.run(t, dir, append(append([]string{runsbx, "run"}, flags...), "--"))
}

func eachUser(t *testing.T, f func(t *testing.T, user bool)) {
	t.Run("as root", func(t *testing.T) {
		if os.Getuid() != 0 {
			t.Skip("not root")
		}
		f(t, false)
	})
	t.Run("as an ordinary user", func(t *testing.T) { f(t, true) })
}

// TestConfinedCalls: each call that reaches out is answered with its errno, by the kernel itself.
func TestConfinedCalls(t *testing.T) {
	t.Parallel()
	calls := guest(t, "confined")
	eachUser(t, func(t *testing.T, user bool) {
		victim := exec.Command("sleep", "1000")
		if user && os.Getuid() == 0 {
			victim.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { victim.Process.Kill(); victim.Wait() }()
		for _, net := range []bool{false, true} {
			var flags []string
			if net {
				flags = []string{"--net"}
			}
			r := confined(t, base(t), user, flags, calls, strconv.Itoa(victim.Process.Pid))
			got := map[string]string{}
			for line := range strings.Lines(r.stdout) {
				i := strings.LastIndex(line, " ")
				name := line[:i]
				for got[name] != "" {
					name += "'" // the same call once more
				}
				got[name] = strings.TrimSpace(line[i:])
			}
			want := map[string]string{
				"ptrace": "EPERM", "process_vm_readv": "EPERM", "process_vm_writev": "EPERM", "kill": "EPERM", "tgkill": "EPERM",
				"kcmp": "EPERM", "pidfd_getfd": "EPERM", "bpf": "EPERM", "perf_event_open": "EPERM", "io_uring_setup": "ENOSYS",
				"userfaultfd": "ENOSYS", "memfd_secret": "ENOSYS", "keyctl": "ENOSYS", "add_key": "ENOSYS", "mount": "EPERM",
				"umount2": "EPERM", "fsopen": "EPERM", "open_tree": "EPERM", "pivot_root": "EPERM", "unshare": "EPERM", "unshare'": "EPERM",
				"unshare''": "0", "setns": "EPERM", "clone": "EPERM", "clone3": "EPERM", "open_by_handle_at": "EPERM", "fanotify_init": "EPERM",
				"init_module": "EPERM", "kexec_load": "EPERM", "reboot": "EPERM", "syslog": "EPERM", "swapon": "EPERM", "acct": "EPERM",
				"quotactl": "EPERM", "sethostname": "EPERM", "iopl": "EPERM", "modify_ldt": "ENOSYS", "number 500": "ENOSYS",
				"number 335000": "ENOSYS", "x32 getpid": "ENOSYS", "TIOCSTI": "EPERM", "seccomp": "EBUSY",
				"AF_INET": "EAFNOSUPPORT", "AF_INET6": "EAFNOSUPPORT", "AF_INET raw": "EAFNOSUPPORT", "AF_PACKET": "EAFNOSUPPORT",
				"AF_NETLINK": "EAFNOSUPPORT", "AF_NETLINK audit": "EAFNOSUPPORT", "AF_VSOCK": "EAFNOSUPPORT", "AF_UNIX": "0", "socketpair": "0",
				"/proc/PID/mem": "EACCES", "/proc/PPID/mem": "EACCES", "/proc/PID/environ": "EACCES", "/proc/PID/maps": "EACCES",
				"/proc/PID/fd/0": "EACCES", "/proc/PID/root/etc": "EACCES", "/proc/self/mem": "EACCES", "/proc/self/maps": "0",
				"/proc/self/comm": "EACCES", "/dev/kmsg": "EACCES", "/dev/null": "0", "a child": "7",
			}
			if net {
				for name, errno := range map[string]string{"AF_INET": "0", "AF_INET6": "0", "AF_INET raw": "EPERM", "AF_NETLINK": "0", "AF_NETLINK audit": "EPROTONOSUPPORT"} {
					want[name] = errno
				}
			}
			for name, errno := range want {
				if got[name] != errno {
					t.Errorf("net %v: %s: %s, want %s", net, name, got[name], errno)
				}
			}
			if r.status != "exit 0" || len(got) != len(want) {
				t.Errorf("%s, %d lines, want %d\n%s", r.status, len(got), len(want), tail(r.stderr))
			}
		}
		if err := victim.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("the process outside is gone: %v", err)
		}
	})
}

// TestConfinedMetadata: modes, owners, times and attributes are changed where files may be written, as
// natively, and nowhere else.
func TestConfinedMetadata(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	script, err := os.ReadFile("testdata/metadata.py")
	if err != nil {
		t.Fatal(err)
	}
	eachUser(t, func(t *testing.T, user bool) {
		// A directory of the user's own that natively it may do all that with; in the sandbox, only with --rw.
		outside := base(t)
		file := filepath.Join(outside, "file")
		fresh := func() os.FileInfo {
			os.Remove(file)
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if user && os.Getuid() == 0 {
				os.Chown(file, 65534, 65534)
				os.Chown(outside, 65534, 65534)
			}
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			return info
		}
		argv := []string{"python3", "-c", string(script), outside}
		own := func(s string) (kept []string) { // what is about the program's own files
			for line := range strings.Lines(s) {
				if !strings.Contains(line, outside) && !strings.Contains(line, " out ") && !strings.Contains(line, "/usr/") &&
					!strings.Contains(line, "/dev/null") && !strings.Contains(line, "system's") && !strings.Contains(line, "outside") &&
					!strings.Contains(line, "privileged") {
					kept = append(kept, line)
				}
			}
			return kept
		}
		dir := base(t)
		native := []string{}
		if user { // root would do it natively to the machine's files
			fresh()
			native = own(program{argv: argv, asUser: true}.run(t, dir, nil).stdout)
		}
		before := fresh()
		r := confined(t, dir, user, nil, argv...)
		after, _ := os.Stat(file)
		if r.status != "exit 0" || before.Mode() != after.Mode() || !before.ModTime().Equal(after.ModTime()) {
			t.Fatalf("%s, mode %v, time %v\n%s", r.status, after.Mode(), after.ModTime(), tail(r.stdout+r.stderr))
		}
		if boxed := own(r.stdout); user && strings.Join(native, "") != strings.Join(boxed, "") {
			t.Errorf("natively\n%s\nsandboxed\n%s", native, boxed)
		}
		for line := range strings.Lines(r.stdout) {
			line = strings.TrimSpace(line)
			elsewhere := strings.Contains(line, outside) || strings.Contains(line, "system's") || strings.Contains(line, "/usr/") ||
				strings.Contains(line, "/dev/null") || strings.Contains(line, "outside") || strings.Contains(line, "privileged") ||
				strings.HasPrefix(line, "chmod out ")
			if elsewhere && !strings.HasSuffix(line, "EPERM") {
				t.Errorf("%s", line)
			}
		}
		for _, want := range []string{"chmod file done", "chmod link done", "chmod nowhere ENOENT", "0o100640 5.0 6.0 ['user.a']",
			"0o100611 7 8", "fchmod none EBADF", "fchmod of a path alone EBADF", "chmod of a long path ENAMETOOLONG", "watch . True None", "watch /etc True None"} {
			if !strings.Contains(r.stdout, want+"\n") {
				t.Errorf("%q is not in\n%s", want, r.stdout)
			}
		}
		if !user && !strings.Contains(r.stdout, "another user's EPERM\nits own done\ngiving away EPERM\nits watch True\n") {
			t.Errorf("as another user:\n%s", tail(r.stdout))
		}
		// The same with --rw.
		if r = confined(t, dir, user, []string{"--rw", outside}, argv...); !strings.Contains(r.stdout, "chmod "+outside+"/file done") {
			t.Errorf("with --rw:\n%s", tail(r.stdout+r.stderr))
		}
	})
}

// TestConfinedFiles: nobody's secrets can be read, and nothing but what is the program's can be written.
func TestConfinedFiles(t *testing.T) {
	t.Parallel()
	eachUser(t, func(t *testing.T, user bool) {
		dir := base(t)
		home := filepath.Join(dir, "home")
		os.Mkdir(home, 0o755)
		os.WriteFile(filepath.Join(home, "secret"), []byte("secret"), 0o644)
		os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\necho ran; cat \"$0\" >/dev/null && ls $(dirname $0)\n"), 0o755)
		for _, path := range []string{home + "/secret", "/etc/shadow", "/root/.profile", "/root", "/home", "/var/lib/dpkg/status", "/dev/shm",
			"/dev/mem", "/dev/pts", "/proc/1/environ", "/boot", "/", dir, "/proc/kcore"} {
			r := confined(t, dir, user, nil, "cat", path)
			if ls := confined(t, dir, user, nil, "ls", path); r.stdout != "" || r.status != "exit 1" ||
				ls.stdout != "" && strings.TrimSpace(ls.stdout) != path {
				t.Errorf("%s: %s%s\n%s", path, r.stdout, r.stderr, ls.stdout)
			}
		}
		for _, path := range []string{dir + "/new", home + "/secret", "/tmp/confine-test", "/etc/confine-test", "/usr/confine-test", "/dev/shm/confine-test",
			"/proc/self/comm", "/proc/sys/kernel/hostname", "/sys/kernel/mm/ksm/run", "/var/tmp/confine-test"} {
			if r := confined(t, dir, user, nil, "sh", "-c", "echo x >>"+path); r.status == "exit 0" {
				t.Errorf("%s was written", path)
				os.Remove(path)
			}
		}
		// Ways around: links, renaming, another name of the same place.
		for _, script := range []string{
			"ln ../home/secret mine", "mv ../home/secret .", "cp ../home/secret .", "ln -s ../home/secret l; cat l", "mkdir m; mv m ..",
			"cat /proc/self/cwd/../home/secret", "cat /proc/self/root" + home + "/secret", "cd ../home && cat secret", "exec 3<../home/secret",
			"mkfifo ../fifo", "mknod b b 8 0",
		} {
			if r := confined(t, dir, user, nil, "sh", "-c", script); r.status == "exit 0" || strings.Contains(r.stdout, "secret") {
				t.Errorf("%s: %s\n%s", script, r.status, r.stdout)
			}
		}
		// A program outside is executed, and that is all that is given of its directory.
		if r := confined(t, dir, user, nil, dir+"/tool"); !strings.HasPrefix(r.stdout, "ran\n") || strings.Contains(r.stdout, "home") {
			t.Errorf("%s\n%s%s", r.status, r.stdout, r.stderr)
		}
		if r := confined(t, dir, user, []string{"--limit", "as=1G"}, "../tool"); !strings.HasPrefix(r.stdout, "ran\n") {
			t.Errorf("executed once more: %s\n%s%s", r.status, r.stdout, r.stderr)
		}
	})
}

// TestConfinedRoot: a root's program has few capabilities, and no exec or change of user brings others.
func TestConfinedRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	need(t, "setpriv")
	dir := base(t)
	for _, script := range []string{"grep Cap /proc/self/status", "exec sh -c 'grep Cap /proc/self/status'",
		"setpriv --reuid 65534 --keep-groups setpriv --no-new-privs true; grep Cap /proc/self/status"} {
		r := confined(t, dir, false, nil, "sh", "-c", script)
		for _, want := range []string{"CapInh:\t0000000000000000", "CapPrm:\t00000000000405fb", "CapEff:\t00000000000405fb", "CapAmb:\t0000000000000000"} {
			if !strings.Contains(r.stdout, want) {
				t.Errorf("%s: no %q in\n%s%s", script, want, r.stdout, r.stderr)
			}
		}
	}
	if r := confined(t, dir, false, nil, "sh", "-c", "touch f && chown 65534:65534 f && stat -c %u f && setpriv --reuid 65534 --regid 65534 --clear-groups id -u"); r.stdout != "65534\n65534\n" {
		t.Errorf("%s%s", r.stdout, r.stderr)
	}
}

// TestConfinedLimits: the defaults bound files, core dumps and descriptors, and those that are named go
// before them.
func TestConfinedLimits(t *testing.T) {
	t.Parallel()
	need(t, "python3", "prlimit")
	dir := base(t)
	script := "ulimit -c; ulimit -Hc; ulimit -f"
	if r := confined(t, dir, true, nil, "bash", "-c", script); r.stdout != "0\n0\n16777216\n" {
		t.Errorf("%q", r.stdout)
	}
	if r := confined(t, dir, true, []string{"--limit", "file-size=1M", "--limit", "open-files=16"}, "python3", "-c", `
import errno, os
try: os.truncate("f", 0) if os.path.exists("f") else open("f", "w").close(); os.truncate("f", 2 << 20)
except OSError as e: print(errno.errorcode[e.errno])
try:
    while True: fd = os.open("f", 0)
except OSError as e: print(fd, errno.errorcode[e.errno])
`); r.stdout != "EFBIG\n15 EMFILE\n" {
		t.Errorf("%q %s", r.stdout, r.stderr)
	}
	// A default raises nothing.
	p := program{argv: []string{"bash", "-c", "ulimit -n; ulimit -Hn; ulimit -Hf"}, asUser: true}
	if r := p.run(t, dir, []string{lookTool("prlimit"), "--nofile=100:200", "--fsize=1048576", "--", runsbx, "run", "--"}); r.stdout != "100\n200\n1024\n" {
		t.Errorf("%q %s", r.stdout, r.stderr)
	}
	for _, user := range []bool{false, true} {
		p := program{argv: []string{"bash", "-c", "ulimit -f; ulimit -Hn; ulimit -Sn; ulimit -Hn 1000000; ulimit -Hn"}, asUser: user}
		if r := p.run(t, dir, []string{runsbx, "run", "--unconfined", "--limit", "file-size=1M", "--limit", "open-files=100", "--"}); r.stdout != "1024\n100\n100\n100\n" {
			t.Errorf("unconfined, user %v: %q %s", user, r.stdout, r.stderr)
		}
	}
	if r := confined(t, dir, true, []string{"--limit", "procs=1"}, "sh", "-c", "(true); echo"); r.status == "exit 0" {
		t.Errorf("procs: %s%s", r.stdout, r.stderr)
	}
}

// TestTimeout: when the time is up, nothing of the tree is left, whatever it does, and nothing of its
// temporary directory.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"descendants": "setsid sh -c 'trap \"\" TERM INT HUP; sleep 1000; :' & (sleep 1000 &) ; exit 0",
		"stopped":     "kill -STOP $$",
		"busy":        "while :; do :; done",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := base(t)
			start := time.Now()
			r := confined(t, dir, true, []string{"--timeout", "1s", "--report", "/dev/stdout"}, "sh", "-c", "mkdir -p $TMPDIR/a/b; chmod 0 $TMPDIR/a; "+script)
			if took := time.Since(start); took < time.Second {
				t.Errorf("after %v", took)
			}
			var rep struct {
				Cause       string
				Confinement struct {
					Timeout string
					TempDir string `json:"temporary_directory"`
				}
			}
			if err := json.Unmarshal([]byte(r.stdout), &rep); err != nil || rep.Cause != "timeout" || rep.Confinement.Timeout != "1s" {
				t.Errorf("%v\n%s", err, tail(r.stdout))
			}
			if r.status != "exit 124" || r.stderr != "runsbx: killed after 1s (timeout)\n" {
				t.Errorf("%s %q", r.status, r.stderr)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) != 0 || rep.Confinement.TempDir == "" {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// TestNoLandlock: where a program cannot be confined, it is not started, unless that was not asked for.
func TestNoLandlock(t *testing.T) {
	t.Parallel()
	dir := base(t)
	run := func(argv ...string) result {
		return program{argv: argv}.run(t, dir, []string{guest(t, "nolandlock")})
	}
	const why = "this kernel has no Landlock, or it is off; --unconfined runs without confinement\n"
	if r := run(runsbx, "run", "touch", "ran"); r.status != "exit 125" || r.stdout != "" || r.stderr != "runsbx: confinement: "+why {
		t.Errorf("%s %q %q", r.status, r.stdout, r.stderr)
	}
	if r := run(runsbx, "doctor"); r.status != "exit 125" || !strings.Contains(r.stdout, why) {
		t.Errorf("%s\n%s%s", r.status, r.stdout, r.stderr)
	}
	if r := run(runsbx, "run", "--unconfined", "echo", "ran"); r.status != "exit 0" || r.stdout != "ran\n" {
		t.Errorf("%s %q %q", r.status, r.stdout, r.stderr)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "r*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestTruncateOutside: where memory is counted, a file in memory is made larger by the supervisor, and no larger than
// Landlock lets the program make it.
func TestTruncateOutside(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	outside, err := os.MkdirTemp("/dev/shm", "runsbx-test-")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(outside)
	file := filepath.Join(outside, "file")
	if err := errors.Join(os.Chmod(outside, 0o755), os.WriteFile(file, nil, 0o666), os.Chmod(file, 0o666)); err != nil {
		t.Fatal(err)
	}
	argv := []string{"python3", "-c", `import os, sys
try: os.truncate(sys.argv[1], 5000); print("done")
except OSError as e: print(e.errno)`, file}
	for _, x := range []struct {
		flags []string
		said  string
		size  int64
	}{{nil, "13\n", 0}, {[]string{"--rw", outside}, "done\n", 5000}} {
		r := confined(t, base(t), true, append(x.flags, "--limit", "commit=1G"), argv...)
		st, err := os.Stat(file)
		if r.stdout != x.said || err != nil || st.Size() != x.size {
			t.Errorf("with %q: size %d, %v\n%s", x.flags, st.Size(), err, tail(r.stdout+r.stderr))
		}
	}
}
