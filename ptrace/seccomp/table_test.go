package seccomp

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp/bpftest"
)

// TestTable: the program of a table answers as the one that libseccomp makes of the same rules, which it
// does when one of them looks at an argument.
func TestTable(t *testing.T) {
	f := Filter{Default: Errno, DefaultErrno: uint16(unix.ENOSYS)}
	for nr := range uint64(400) {
		switch {
		case nr%7 == 3:
			f.Rules = append(f.Rules, Rule{Nr: nr, Act: Errno, Errno: 1})
		case nr%50 < 30:
			f.Rules = append(f.Rules, Rule{Nr: nr, Act: Allow})
		case nr%50 == 40:
			f.Rules = append(f.Rules, Rule{Nr: nr, Act: Trace})
		}
	}
	table, err := f.Export()
	if err != nil {
		t.Fatal(err)
	}
	f.Rules = append(f.Rules, Rule{Nr: 500, Act: Allow, Conds: []Cond{{Arg: 0, Op: Equal, Value: 1}}})
	other, err := f.Export()
	if err != nil {
		t.Fatal(err)
	}
	numbers := []uint64{1 << 20, maxNumber, maxNumber + 1, 0x40000000 + 9, 0x7fffffff, 0x80000000, 0xfffffffe}
	for nr := range uint64(600) {
		numbers = append(numbers, nr)
	}
	for _, nr := range numbers {
		got, looked, err := bpftest.Run(table, bpftest.Call(nr))
		want, _, err2 := bpftest.Run(other, bpftest.Call(nr))
		if err != nil || err2 != nil || got != want || looked {
			t.Errorf("%#x: %#x, want %#x (%v, %v)", nr, got, want, err, err2)
		}
		if got, _, _ := bpftest.Run(table, bpftest.Data{Nr: int32(nr), Arch: unix.AUDIT_ARCH_I386}); got != uint32(retErrno|unix.ENOSYS) {
			t.Errorf("%#x by int 0x80: %#x", nr, got)
		}
	}
	for name, f := range map[string]Filter{"nothing": {}, "the last number": {Rules: []Rule{{Nr: maxNumber, Act: Kill}}}} {
		prog, err := f.Export()
		if err != nil {
			t.Fatal(name, err)
		}
		if got, _, err := bpftest.Run(prog, bpftest.Call(1)); err != nil || got != retAllow {
			t.Errorf("%s: %#x, %v", name, got, err)
		}
	}
}
