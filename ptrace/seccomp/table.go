package seccomp

import (
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// A filter that looks at numbers alone is a table, and hundreds of rules are a few dozen ranges of it. Its
// program is a binary search; libseccomp takes milliseconds for a longer one.

// span is a range of numbers that are answered alike.
type span struct {
	first uint64
	ret   uint32
}

// table returns the rules as ranges in order, the last of which has no end; ok is false when a rule looks at
// arguments, or two are about one call.
func (f Filter) table() (spans []span, ok bool, err error) {
	def, err := value(f.Default, f.DefaultErrno)
	if err != nil {
		return nil, false, err
	}
	rules := slices.Clone(f.Rules)
	slices.SortFunc(rules, func(a, b Rule) int { return int(a.Nr) - int(b.Nr) })
	next := uint64(0)
	add := func(first uint64, ret uint32) {
		if len(spans) == 0 || spans[len(spans)-1].ret != ret {
			spans = append(spans, span{first, ret})
		}
	}
	for _, r := range rules {
		if len(r.Conds) > 0 || r.Nr > maxNumber || r.Nr < next {
			return nil, false, nil
		}
		ret, err := value(r.Act, r.Errno)
		if err != nil {
			return nil, false, fmt.Errorf("rule for system call %d: %w", r.Nr, err)
		}
		if r.Nr > next {
			add(next, def)
		}
		add(r.Nr, ret)
		next = r.Nr + 1
	}
	add(next, def)
	return spans, true, nil
}

// value is what a filter returns for an action.
func value(a Act, errno uint16) (uint32, error) {
	if _, err := action(a, errno); err != nil {
		return 0, err
	}
	switch a {
	case Allow:
		return unix.SECCOMP_RET_ALLOW, nil
	case Trace:
		return unix.SECCOMP_RET_TRACE | TraceData, nil
	case Notify:
		return unix.SECCOMP_RET_USER_NOTIF, nil
	case Errno:
		return unix.SECCOMP_RET_ERRNO | uint32(errno), nil
	case Kill:
		return unix.SECCOMP_RET_KILL_PROCESS, nil
	case KillThread:
		return unix.SECCOMP_RET_KILL_THREAD, nil
	case Trap:
		return unix.SECCOMP_RET_TRAP, nil
	case Log:
		return unix.SECCOMP_RET_LOG, nil
	}
	return 0, fmt.Errorf("action %d in a table", a)
}

// assemble returns the program of a table.
func assemble(spans []span) []byte {
	const nr, arch = 0, 4 // offsets in struct seccomp_data
	enosys := uint32(unix.SECCOMP_RET_ERRNO | unix.ENOSYS)
	prog := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: arch},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AUDIT_ARCH_X86_64, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: enosys},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: nr},
		// x32 has a bit of the number; what has all bits is no call at all.
		{Code: unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, K: maxNumber, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: enosys},
	}
	var b []byte
	for _, in := range append(prog, search(spans)...) {
		b = binary.NativeEndian.AppendUint16(b, in.Code)
		b = append(b, in.Jt, in.Jf)
		b = binary.NativeEndian.AppendUint32(b, in.K)
	}
	return b
}

// search returns a binary search. Its jumps over the lower half are of the kind that has no bound.
func search(spans []span) []unix.SockFilter {
	if len(spans) == 1 {
		return []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: spans[0].ret}}
	}
	half := len(spans) / 2
	lower, upper := search(spans[:half]), search(spans[half:])
	prog := []unix.SockFilter{
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: uint32(spans[half].first), Jf: 1},
		{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(lower))},
	}
	return append(append(prog, lower...), upper...)
}
