package seccomp

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp/bpftest"
)

const (
	retAllow  = unix.SECCOMP_RET_ALLOW
	retTrace  = unix.SECCOMP_RET_TRACE | TraceData
	retNotify = unix.SECCOMP_RET_USER_NOTIF
	retErrno  = unix.SECCOMP_RET_ERRNO
	retKill   = unix.SECCOMP_RET_KILL_PROCESS
	retThread = unix.SECCOMP_RET_KILL_THREAD
	retTrap   = unix.SECCOMP_RET_TRAP
	retLog    = unix.SECCOMP_RET_LOG
)

// eval runs the program as the kernel does.
func eval(t *testing.T, prog []byte, d bpftest.Data) (ret uint32, looked bool) {
	t.Helper()
	ret, looked, err := bpftest.Run(prog, d)
	if err != nil {
		t.Fatal(err)
	}
	return ret, looked
}

func call(nr int, args ...uint64) bpftest.Data { return bpftest.Call(uint64(nr), args...) }

// sample has a bit of everything.
func sample() Filter {
	const enosys = uint16(unix.ENOSYS)
	f := Filter{Default: Allow, Rules: []Rule{
		{Nr: unix.SYS_MMAP, Act: Trace},
		{Nr: unix.SYS_MREMAP, Act: Trace},
		{Nr: unix.SYS_MUNMAP, Act: Notify},
		{Nr: unix.SYS_BRK, Act: Notify},
		{Nr: 462, Act: Notify},                // mseal, which libseccomp 2.5.4 does not know
		{Nr: 453, Act: Trace},                 // map_shadow_stack
		{Nr: 1000, Act: Errno, Errno: enosys}, // nothing yet
		{Nr: unix.SYS_CLONE3, Act: Errno, Errno: enosys},
		{Nr: unix.SYS_REBOOT, Act: Kill},
		{Nr: unix.SYS_READ, Act: Allow}, // the default action
		{Nr: unix.SYS_CLONE, Act: Errno, Errno: uint16(unix.EPERM), Conds: []Cond{
			{Arg: 0, Op: MaskedEqual, Mask: unix.CLONE_UNTRACED, Value: unix.CLONE_UNTRACED}}},
		{Nr: unix.SYS_PRCTL, Act: Notify, Conds: []Cond{{Arg: 0, Op: Equal, Value: 65}, {Arg: 1, Op: NotEqual, Value: 0}}},
		{Nr: unix.SYS_PRCTL, Act: Trace, Conds: []Cond{{Arg: 0, Op: MaskedEqual, Mask: 0xffffffff, Value: 0x53564d41}}},
		{Nr: unix.SYS_DUP2, Act: Errno, Errno: 4000, Conds: []Cond{{Arg: 1, Op: Greater, Value: 1 << 33}}},
	}}
	for _, advice := range []uint64{0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17} {
		f.Rules = append(f.Rules, Rule{Nr: unix.SYS_MADVISE, Act: Notify, Conds: []Cond{
			{Arg: 2, Op: MaskedEqual, Mask: 0xffffffff, Value: advice}}})
	}
	return f
}

func TestExport(t *testing.T) {
	prog, err := sample().Export()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("libseccomp %s: %d instructions", Version(), len(prog)/8)
	const top = 1 << 32
	enosys := uint32(retErrno | unix.ENOSYS)
	for _, tt := range []struct {
		d    bpftest.Data
		want uint32
	}{
		{call(unix.SYS_MMAP), retTrace},
		{call(unix.SYS_MREMAP), retTrace},
		{call(unix.SYS_MUNMAP), retNotify},
		{call(unix.SYS_BRK), retNotify},
		{call(462), retNotify},
		{call(453), retTrace},
		{call(1000), enosys},
		{call(1001), retAllow},
		{call(unix.SYS_CLONE3), enosys},
		{call(unix.SYS_REBOOT), retKill},
		{call(unix.SYS_READ), retAllow},
		{call(unix.SYS_CLONE, unix.CLONE_VM), retAllow},
		{call(unix.SYS_CLONE, unix.CLONE_VM|unix.CLONE_UNTRACED), retErrno | uint32(unix.EPERM)},
		{call(unix.SYS_PRCTL, 65, 0), retAllow},
		{call(unix.SYS_PRCTL, 65, 1), retNotify},
		{call(unix.SYS_PRCTL, 65, top), retNotify},
		{call(unix.SYS_PRCTL, 64, 1), retAllow},
		{call(unix.SYS_PRCTL, 0x53564d41), retTrace},
		{call(unix.SYS_PRCTL, 0x53564d41|top), retTrace},
		{call(unix.SYS_DUP2, 0, 1<<33), retAllow},
		{call(unix.SYS_DUP2, 0, 1<<33+1), retErrno | 4000},
		{call(unix.SYS_DUP2, 0, 1<<34), retErrno | 4000},
		{call(unix.SYS_DUP2, 0, 5), retAllow},
		// Other ABIs: int 0x80, x32 by its bit, whatever the number.
		{bpftest.Data{Nr: 90, Arch: unix.AUDIT_ARCH_I386}, enosys},
		{bpftest.Data{Nr: 9, Arch: unix.AUDIT_ARCH_I386}, enosys},
		{bpftest.Data{Nr: 0, Arch: unix.AUDIT_ARCH_AARCH64}, enosys},
		{call(0x40000000), enosys},
		{call(0x40000000 + unix.SYS_MMAP), enosys},
		{call(0x40000000 + 512), enosys},
		{call(-2), enosys},
		// A tracer skips calls by this number; from a program it is no call at all.
		{call(-1), retAllow},
	} {
		if got, _ := eval(t, prog, tt.d); got != tt.want {
			t.Errorf("call %d%v of %#x: got %#x, want %#x", tt.d.Nr, tt.d.Args, tt.d.Arch, got, tt.want)
		}
	}
	for advice := range uint64(30) {
		want := uint32(retAllow)
		if advice < 3 || advice >= 10 && advice <= 17 {
			want = retNotify
		}
		for _, arg := range []uint64{advice, advice | top} {
			if got, _ := eval(t, prog, call(unix.SYS_MADVISE, 0, 0, arg)); got != want {
				t.Errorf("advice %#x: got %#x, want %#x", arg, got, want)
			}
		}
	}
}

// TestByNumberAlone: the kernel answers calls from a bitmap whose answer no argument can change.
func TestByNumberAlone(t *testing.T) {
	prog, err := sample().Export()
	if err != nil {
		t.Fatal(err)
	}
	byArgs := map[int]bool{unix.SYS_CLONE: true, unix.SYS_PRCTL: true, unix.SYS_DUP2: true, unix.SYS_MADVISE: true}
	for nr := range 500 {
		got, looked := eval(t, prog, call(nr))
		if looked != byArgs[nr] {
			t.Errorf("call %d: looks at arguments: %v (answer %#x)", nr, looked, got)
		}
	}
}

func TestRejects(t *testing.T) {
	for name, f := range map[string]Filter{
		"action":        {Rules: []Rule{{Nr: 1, Act: 99}}},
		"default":       {Default: 99},
		"comparison":    {Rules: []Rule{{Nr: 1, Act: Trace, Conds: []Cond{{Op: 99}}}}},
		"argument":      {Rules: []Rule{{Nr: 1, Act: Trace, Conds: []Cond{{Arg: 6}}}}},
		"number":        {Rules: []Rule{{Nr: 1 << 31, Act: Trace}}},
		"x32 number":    {Rules: []Rule{{Nr: 0x40000000 + 9, Act: Trace}}},
		"errno":         {Rules: []Rule{{Nr: 1, Act: Errno, Errno: 4095}}},
		"default errno": {Default: Errno, DefaultErrno: MaxErrno + 1},
	} {
		if b, err := f.Export(); err == nil {
			t.Errorf("%s: a program of %d bytes", name, len(b))
		}
	}
}

func TestEachDefault(t *testing.T) {
	for def, want := range map[Act]uint32{
		Allow: retAllow, Trace: retTrace, Notify: retNotify, Kill: retKill, KillThread: retThread, Trap: retTrap, Log: retLog,
		Errno: retErrno | 38,
	} {
		f := Filter{Default: def, DefaultErrno: 38, Rules: []Rule{{Nr: 0, Act: Errno, Errno: 1}, {Nr: 1, Act: Allow}}}
		prog, err := f.Export()
		if err != nil {
			t.Error(def, err)
			continue
		}
		for nr, want := range []uint32{retErrno | 1, retAllow, want} {
			if got, _ := eval(t, prog, call(nr)); got != want {
				t.Errorf("default %d, call %d: got %#x, want %#x", def, nr, got, want)
			}
		}
	}
}

// TestEachComparison: arguments are unsigned 64-bit numbers.
func TestEachComparison(t *testing.T) {
	const v = 1<<40 + 7
	for op, want := range map[Op][3]bool{ // below, equal, above
		Equal: {false, true, false}, NotEqual: {true, false, true}, Greater: {false, false, true},
		GreaterEqual: {false, true, true}, Less: {true, false, false}, LessEqual: {true, true, false},
	} {
		prog, err := Filter{Rules: []Rule{{Nr: 5, Act: Errno, Errno: 2, Conds: []Cond{{Arg: 3, Op: op, Value: v}}}}}.Export()
		if err != nil {
			t.Fatal(err)
		}
		for i, arg := range []uint64{v - 1, v, v + 1} {
			ret, _ := eval(t, prog, call(5, 0, 0, 0, arg))
			if hit := ret == retErrno|2; hit != want[i] {
				t.Errorf("comparison %d with %+d: %v", op, i-1, hit)
			}
		}
	}
}

func TestNumber(t *testing.T) {
	for name, want := range map[string]bool{"mkdir": true, "socketcall": false, "frobnicate": false, "": false, "chown32": false} {
		if nr, ok := Number(name); ok != want || ok && nr != unix.SYS_MKDIR {
			t.Errorf("%q: %d, %v", name, nr, ok)
		}
	}
}
