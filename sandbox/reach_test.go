package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
	"github.com/runsbx/runsbx/ptrace/seccomp/bpftest"
	"github.com/runsbx/runsbx/sentry/linux"
)

// TestSignalsWithoutScopes: where Landlock does not keep signals within the sandbox, we do.
func TestSignalsWithoutScopes(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not installed")
	}
	guest := filepath.Join(t.TempDir(), "pids")
	if out, err := exec.Command("gcc", "-pthread", "-o", guest, "../integration/testdata/reach/pids.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// One in a process group of its own, and one in the program's.
	var others [2]*exec.Cmd
	for i := range others {
		others[i] = exec.Command("sleep", "60")
		others[i].SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := others[i].Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { others[i].Process.Kill(); others[i].Wait() }()
	}
	out, _ := run(t, confinedWithoutScopes(others[1].Process.Pid, guest, strconv.Itoa(others[0].Process.Pid), "signals"))
	for _, line := range []string{
		"signals out: EPERM EPERM EPERM EPERM EPERM ESRCH", "signals within: ok ok ok ok ok", "end: ok ok 15",
	} {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	out, _ = run(t, confinedWithoutScopes(others[1].Process.Pid, "sh", "-c", `trap "echo got" TERM; kill 0; kill -s TERM -- -1 2>/dev/null; echo $?; (trap "" TERM; kill 0); echo on`))
	if out != "got\n1\ngot\non\n" {
		t.Errorf("a group's signal: %q", out)
	}
	for i, o := range others {
		if err := unix.Kill(o.Process.Pid, 0); err != nil || dying(o.Process.Pid) {
			t.Errorf("process %d of others was ended", i)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

func confinedWithoutScopes(group int, name string, arg ...string) *Cmd {
	c := verified(name, arg...)
	c.noScopes, c.Dir = true, filepath.Dir(name)
	if c.Dir == "." {
		c.Dir = ""
	}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: group}
	return c
}

// TestReachRules: what a confined program's calls are answered with before the supervisor sees them.
func TestReachRules(t *testing.T) {
	const (
		allow  = unix.SECCOMP_RET_ALLOW
		notify = unix.SECCOMP_RET_USER_NOTIF
		trace  = unix.SECCOMP_RET_TRACE | seccomp.TraceData
		eacces = unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)
		eperm  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
		enosys = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
		high   = 1 << 32
	)
	export := func(r *reach, files []*os.File) []byte {
		prog, err := seccomp.Filter{Rules: r.rules(files)}.Export()
		if err != nil {
			t.Fatal(err)
		}
		return prog
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	datagram := os.NewFile(uintptr(pair[0]), "datagram")
	defer datagram.Close()
	defer unix.Close(pair[1])
	var none *reach
	usual, net := export(&reach{}, nil), export(&reach{net: true}, nil)
	old, given := export(&reach{signals: true}, nil), export(&reach{}, []*os.File{nil, datagram})
	for _, x := range []struct {
		prog []byte
		call bpftest.Data
		want uint32
	}{
		{export(none, nil), bpftest.Call(linux.SYS_CONNECT, 3), allow},
		{usual, bpftest.Call(linux.SYS_CONNECT, 3), notify},
		{net, bpftest.Call(linux.SYS_CONNECT, 3), allow},
		{usual, bpftest.Call(linux.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC), allow},
		{usual, bpftest.Call(linux.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_SEQPACKET), allow},
		{usual, bpftest.Call(linux.SYS_SOCKET, unix.AF_UNIX|high, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|high), eacces},
		{usual, bpftest.Call(linux.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_RAW|unix.SOCK_NONBLOCK), eacces},
		{usual, bpftest.Call(linux.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_DGRAM), eacces},
		{net, bpftest.Call(linux.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_DGRAM), allow},
		{usual, bpftest.Call(linux.SYS_SENDTO, 3, 1, 1, 0, 0, 0), allow},
		{usual, bpftest.Call(linux.SYS_SENDTO, 3, 1, 1, 0, 5, 0), allow},
		{usual, bpftest.Call(linux.SYS_SENDTO, 3, 1, 1, 0, 5, 16), eacces},
		{usual, bpftest.Call(linux.SYS_SENDTO, 3, 1, 1, 0, high, high|16), eacces},
		{usual, bpftest.Call(linux.SYS_SENDMSG, 3, 1, unix.MSG_NOSIGNAL), allow},
		{usual, bpftest.Call(linux.SYS_SENDMSG, 3, 1, unix.MSG_FASTOPEN|unix.MSG_NOSIGNAL), eacces},
		{usual, bpftest.Call(linux.SYS_SENDMMSG, 3, 1, 1, unix.MSG_FASTOPEN), eacces},
		{given, bpftest.Call(linux.SYS_SENDMSG, 3, 1, 0), eacces},
		{given, bpftest.Call(linux.SYS_SENDMMSG, 3, 1, 1, 0), eacces},
		{usual, bpftest.Call(linux.SYS_SCHED_SETAFFINITY, 0), allow},
		{usual, bpftest.Call(linux.SYS_SCHED_SETAFFINITY, 7), notify},
		{usual, bpftest.Call(linux.SYS_SETPRIORITY, 0, 0), allow},
		{usual, bpftest.Call(linux.SYS_SETPRIORITY, high, 1), notify},
		{usual, bpftest.Call(linux.SYS_SETPRIORITY, 1, 0), notify},
		{usual, bpftest.Call(linux.SYS_SETPRIORITY, 2, 0), notify},
		{usual, bpftest.Call(linux.SYS_IOPRIO_SET, 1, 0), allow},
		{usual, bpftest.Call(linux.SYS_IOPRIO_SET, 1, 9), notify},
		{usual, bpftest.Call(linux.SYS_IOPRIO_SET, 3, 0), notify},
		{usual, bpftest.Call(linux.SYS_KILL, 1, 9), allow}, // Landlock's
		{old, bpftest.Call(linux.SYS_KILL, 1, 9), notify},
		{old, bpftest.Call(linux.SYS_FCNTL, 3, unix.F_SETOWN, 1), notify},
		{old, bpftest.Call(linux.SYS_FCNTL, 3, unix.F_GETFL), allow},
		{old, bpftest.Call(linux.SYS_FCNTL, 3, unix.F_SETOWN_EX), eperm},
		{old, bpftest.Call(linux.SYS_IOCTL, 3, siocspgrp), eperm},
		{old, bpftest.Call(linux.SYS_PIDFD_SEND_SIGNAL), enosys},
		{usual, bpftest.Call(linux.SYS_SHMGET, 1), trace},
		{usual, bpftest.Call(linux.SYS_SEMOP, 1), notify},
		{usual, bpftest.Call(linux.SYS_MQ_OPEN), enosys},
	} {
		got, _, err := bpftest.Run(x.prog, x.call)
		if err != nil || got != x.want {
			t.Errorf("%s%#x: %#x, %v; want %#x", linux.SyscallName(uint64(x.call.Nr)), x.call.Args, got, err, x.want)
		}
	}
}

// TestUnixSockets: sock_diag shows sockets as they were bound.
func TestUnixSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	abstract := fmt.Sprintf("@runsbx-test-%d", os.Getpid())
	for _, name := range []string{path, abstract} {
		l, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	all, err := unixSockets(func(*unixSocket) bool { return true })
	if errors.Is(err, errNoDiag) {
		t.Skip(err)
	}
	var st unix.Stat_t
	if err := errors.Join(err, unix.Stat(path, &st)); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range all {
		if strings.Contains(s.name, abstract[1:]) && s.kind != unix.SOCK_STREAM {
			t.Errorf("%+v is no stream socket", s)
		}
		switch {
		case s.path && s.name == path+"\x00" || s.path && s.name == path:
			if s.ino != uint32(st.Ino) {
				t.Errorf("%+v, inode %d", s, st.Ino)
			}
			found++
		case !s.path && s.name == "\x00"+abstract[1:]:
			found++
		}
	}
	if found != 2 {
		t.Errorf("found %d of 2", found)
	}
}

// FuzzSockets: whatever is said to be an answer of sock_diag is taken apart within its bounds.
func FuzzSockets(f *testing.F) {
	msg := func(kind uint16, body ...byte) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		return append(append(b, make([]byte, 10)...), body...)
	}
	head := []byte{1, 1, 10, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	f.Add(msg(3, 0, 0, 0, 0))
	f.Add(msg(2, 0xfe, 0xff, 0xff, 0xff))
	f.Add(append(msg(20, append(head, 6, 0, 0, 0, 0, 'x', 0, 0, 12, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8)...), msg(3)...))
	f.Add(msg(20, append(head, 3, 0, 0, 0)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		eachSocket(b, func(*unixSocket) { n++ })
		if n > len(b) {
			t.Errorf("%d sockets in %d bytes", n, len(b))
		}
	})
}

// FuzzAddress: no address that a program can have makes us trip over it, and none passes for what it is not.
func FuzzAddress(f *testing.F) {
	f.Add([]byte("\x01\x00/tmp/s\x00"))
	f.Add([]byte("\x01\x00\x00abstract"))
	f.Add([]byte("\x01\x00"))
	f.Add([]byte("\x00\x00"))
	f.Add([]byte("\x02\x00\x00\x50\x7f\x00\x00\x01"))
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { unix.Close(fd) })
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < familySize || len(b) > maxAddr {
			return // socketAddress
		}
		c := &connecting{fd: fd, addr: b}
		errno := c.check()
		family := binary.NativeEndian.Uint16(b)
		if errno == 0 && family != unix.AF_UNSPEC && (family != unix.AF_UNIX || len(b) < 3 || len(b) > 110) {
			t.Errorf("%q passes", b)
		}
	})
}

// TestIdentity: what a thread takes on it has alone, and it ends.
func TestWithIdentity(t *testing.T) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	if !sameIdentity(string(status), string(status), ^uint64(0)) {
		t.Error("not like itself")
	}
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	other := exec.Command("sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65533, Groups: []uint32{7, 8}}}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	for range 3 {
		var as []byte
		if err := withIdentity(other.Process.Pid, accessCapabilities, func() { as, _ = os.ReadFile("/proc/thread-self/status") }); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"Uid": "65534\t65534\t65534\t65534", "Gid": "65533\t65533\t65533\t65533", "Groups": "7 8", "CapEff": "0000000000000000",
		} {
			if got := statusField(string(as), name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	if os.Geteuid() != 0 {
		t.Error("it is ours as well")
	}
}

// TestNumbersInNamespace: a program in a pid namespace of its own means its own numbers.
func TestNumbersInNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a pid namespace takes root")
	}
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	c := shell(`sleep 5 & for pid in 1 $! ` + strconv.Itoa(other.Process.Pid) + ` 4194000; do
		renice -n 1 -p $pid >/dev/null 2>&1; echo $?; done; kill $!`)
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if out, _ := run(t, c); out != "0\n0\n1\n1\n" {
		t.Errorf("got %q", out)
	}
	if n := c.Report().Refused; n != 0 {
		t.Errorf("%d refusals", n) // there is nobody else to its knowledge
	}
}

// TestRemovedSegments: the identifiers of segments that have gone are not the sandbox's any more.
func TestRemovedSegments(t *testing.T) {
	const source = `#include <stdio.h>
#include <sys/shm.h>
int main(void)
{
	int bad = 0;
	for (int i = 0; i < 40; i++) {
		struct shmid_ds ds;
		int id = shmget(IPC_PRIVATE, 4096, 0600);
		void *at = i & 1 ? shmat(id, 0, 0) : 0;
		bad |= shmctl(id, IPC_RMID, 0);
		if (at)
			bad |= shmctl(id, IPC_STAT, &ds) || ds.shm_nattch != 1 || shmdt(at);
		bad |= shmctl(id, IPC_STAT, &ds) != -1;
	}
	puts(bad ? "bad" : "fine");
}`
	dir := t.TempDir()
	guest := filepath.Join(dir, "segments")
	if err := os.WriteFile(guest+".c", []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", "-o", guest, guest+".c").CombinedOutput(); err != nil {
		t.Skipf("%v\n%s", err, out)
	}
	c := verified(guest)
	c.Dir = dir
	if out, _ := run(t, c); out != "fine\n" {
		t.Error(out)
	}
	if n := len(c.sup.reach.objects); n > 1 {
		t.Errorf("%d segments are known after all have gone", n)
	}
}
