package confine

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp/bpftest"
	"github.com/runsbx/runsbx/sentry/linux"
)

// answer returns what the kernel does with a call under all of the filters, as an errno, and whether it can
// keep the answer in its bitmap.
func answer(t *testing.T, progs [][]byte, d bpftest.Data) (errno linux.Errno, constant bool) {
	t.Helper()
	constant = true
	strictest := uint32(unix.SECCOMP_RET_ALLOW)
	for _, prog := range progs {
		ret, looked, err := bpftest.Run(prog, d)
		if err != nil {
			t.Fatal(err)
		}
		if ret < strictest {
			strictest = ret
		}
		constant = constant && !looked
	}
	switch {
	case strictest == unix.SECCOMP_RET_ALLOW:
		return 0, constant
	case strictest&unix.SECCOMP_RET_ACTION_FULL == unix.SECCOMP_RET_ERRNO:
		return linux.Errno(strictest & 0xffff), constant
	}
	t.Fatalf("call %d: answer %#x", d.Nr, strictest)
	return 0, false
}

func export(t *testing.T, net bool) (progs [][]byte) {
	t.Helper()
	for _, f := range Calls(net) {
		b, err := f.Export()
		if err != nil {
			t.Fatal(err)
		}
		if len(b)/8 > unix.BPF_MAXINSNS {
			t.Errorf("%d instructions", len(b)/8)
		}
		progs = append(progs, b)
	}
	return progs
}

// TestNumbers: every number there can be is allowed, refused as its group says, or answered with ENOSYS, and
// the answer is constant, except for the few calls whose arguments are looked at.
func TestNumbers(t *testing.T) {
	want := map[uint64]linux.Errno{}
	for _, group := range refusedCalls {
		if group.why == "" {
			t.Errorf("no reason for %v", group.calls)
		}
		for _, nr := range group.calls {
			if _, twice := want[nr]; twice {
				t.Errorf("%s twice", linux.SyscallName(nr))
			}
			if !linux.HasSyscall(nr) {
				t.Errorf("%d is no call", nr)
			}
			want[nr] = group.errno
		}
	}
	looksAt := map[uint64]bool{linux.SYS_CLONE: true, linux.SYS_UNSHARE: true, linux.SYS_IOCTL: true, linux.SYS_SECCOMP: true, linux.SYS_SOCKET: true}
	for _, net := range []bool{false, true} {
		progs := export(t, net)
		for nr := range uint64(1000) {
			errno := want[nr]
			if nr > lastKnown || !linux.HasSyscall(nr) {
				errno = linux.ENOSYS
			}
			// Arguments that nothing is wrong with.
			got, constant := answer(t, progs, bpftest.Call(nr, unix.AF_UNIX))
			if got != errno || constant == looksAt[nr] {
				t.Errorf("%s: %v, constant %v; want %v", linux.SyscallName(nr), got, constant, errno)
			}
		}
		for _, nr := range []uint64{1 << 20, 0x40000000, 0x40000000 + linux.SYS_PTRACE, 0x40000200, 0xffffffff} {
			if got, _ := answer(t, progs, bpftest.Call(nr)); got != linux.ENOSYS {
				t.Errorf("%#x: %v", nr, got)
			}
		}
		for _, arch := range []uint32{unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64} {
			if got, _ := answer(t, progs, bpftest.Data{Nr: linux.SYS_READ, Arch: arch}); got != linux.ENOSYS {
				t.Errorf("architecture %#x: %v", arch, got)
			}
		}
	}
}

func TestArguments(t *testing.T) {
	const (
		high   = 1 << 32 // the kernel does not look at it
		stream = unix.SOCK_STREAM | unix.SOCK_CLOEXEC
	)
	for _, tt := range []struct {
		d            bpftest.Data
		without, net linux.Errno
	}{
		{d: bpftest.Call(linux.SYS_CLONE, uint64(unix.SIGCHLD))},
		{d: bpftest.Call(linux.SYS_CLONE, 0x3d0f00)}, // a thread
		{bpftest.Call(linux.SYS_CLONE, unix.CLONE_NEWUSER|uint64(unix.SIGCHLD)), linux.EPERM, linux.EPERM},
		{bpftest.Call(linux.SYS_CLONE, unix.CLONE_NEWNET|unix.CLONE_NEWNS|high), linux.EPERM, linux.EPERM},
		{d: bpftest.Call(linux.SYS_UNSHARE, unix.CLONE_FILES|unix.CLONE_FS)},
		{bpftest.Call(linux.SYS_UNSHARE, unix.CLONE_NEWTIME), linux.EPERM, linux.EPERM},
		{bpftest.Call(linux.SYS_UNSHARE, unix.CLONE_FS|unix.CLONE_NEWPID), linux.EPERM, linux.EPERM},
		{d: bpftest.Call(linux.SYS_IOCTL, 0, unix.TCGETS)},
		{bpftest.Call(linux.SYS_IOCTL, 0, unix.TIOCSTI), linux.EPERM, linux.EPERM},
		{bpftest.Call(linux.SYS_IOCTL, 0, unix.TIOCSTI|high), linux.EPERM, linux.EPERM},
		{bpftest.Call(linux.SYS_IOCTL, 0, 0x541c), linux.EPERM, linux.EPERM},
		{d: bpftest.Call(linux.SYS_IOCTL, 0, unix.FS_IOC_GETFLAGS)},
		{bpftest.Call(linux.SYS_IOCTL, 0, unix.FS_IOC_SETFLAGS), linux.EOPNOTSUPP, linux.EOPNOTSUPP},
		{bpftest.Call(linux.SYS_IOCTL, 0, 0x401c5820), linux.EOPNOTSUPP, linux.EOPNOTSUPP},
		{bpftest.Call(linux.SYS_IOCTL, 0, unix.FICLONE), linux.EOPNOTSUPP, linux.EOPNOTSUPP},
		{bpftest.Call(linux.SYS_IOCTL, 0, unix.FS_IOC_ENABLE_VERITY), linux.EOPNOTSUPP, linux.EOPNOTSUPP},
		{d: bpftest.Call(linux.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC)},
		{d: bpftest.Call(linux.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES)},
		{bpftest.Call(linux.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0x18), linux.EBUSY, linux.EBUSY},
		{d: bpftest.Call(linux.SYS_SOCKET, unix.AF_UNIX, stream)},
		{d: bpftest.Call(linux.SYS_SOCKETPAIR, unix.AF_UNIX, stream)},
		{bpftest.Call(linux.SYS_SOCKET, unix.AF_INET, stream), linux.EAFNOSUPPORT, 0},
		{bpftest.Call(linux.SYS_SOCKET, unix.AF_INET6, unix.SOCK_DGRAM), linux.EAFNOSUPPORT, 0},
		{bpftest.Call(linux.SYS_SOCKET, unix.AF_INET, unix.SOCK_RAW, 1), linux.EAFNOSUPPORT, linux.EPERM},
		{bpftest.Call(linux.SYS_SOCKET, unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC), linux.EAFNOSUPPORT, linux.EPERM},
		{bpftest.Call(linux.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC), linux.EAFNOSUPPORT, 0},
		{bpftest.Call(linux.SYS_SOCKET, unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT), linux.EAFNOSUPPORT, linux.EPROTONOSUPPORT},
		{bpftest.Call(linux.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW), linux.EAFNOSUPPORT, linux.EAFNOSUPPORT},
		{bpftest.Call(linux.SYS_SOCKET, unix.AF_VSOCK, stream), linux.EAFNOSUPPORT, linux.EAFNOSUPPORT},
		{bpftest.Call(linux.SYS_SOCKET, unix.AF_ALG), linux.EAFNOSUPPORT, linux.EAFNOSUPPORT},
		{bpftest.Call(linux.SYS_SOCKET, unix.AF_INET|high, stream), linux.EAFNOSUPPORT, linux.EAFNOSUPPORT},
		{bpftest.Call(linux.SYS_SOCKET, unix.AF_UNSPEC|high, stream), linux.EAFNOSUPPORT, linux.EAFNOSUPPORT},
	} {
		for _, net := range []bool{false, true} {
			want := tt.without
			if net {
				want = tt.net
			}
			if got, _ := answer(t, export(t, net), tt.d); got != want {
				t.Errorf("%s%#x, net %v: %v, want %v", linux.SyscallName(uint64(tt.d.Nr)), tt.d.Args, net, got, want)
			}
		}
	}
}
