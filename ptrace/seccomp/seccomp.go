// Package seccomp turns rules into a BPF program by way of libseccomp. It is the only library
// package that uses cgo.
package seccomp

import (
	"fmt"
	"io"
	"os"

	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/sys/unix"
)

// Act is what the kernel does with a call that a rule matches.
type Act uint8

const (
	// Allow lets the call run untouched.
	Allow Act = iota
	// Trace stops the thread for its tracer (SECCOMP_RET_TRACE), with TraceData.
	Trace
	// Notify asks the filter's listener (SECCOMP_RET_USER_NOTIF).
	Notify
	// Errno answers the call with Rule.Errno; 0 makes it return 0.
	Errno
	// Kill kills the process.
	Kill
	// KillThread kills the thread.
	KillThread
	// Trap sends the thread SIGSYS.
	Trap
	// Log lets the call run, and the kernel log it.
	Log
)

// Op compares an argument.
type Op uint8

const (
	// Equal is argument == Value.
	Equal Op = iota
	// NotEqual is argument != Value.
	NotEqual
	// MaskedEqual is argument & Mask == Value.
	MaskedEqual
	// Greater is argument > Value.
	Greater
	// GreaterEqual is argument >= Value.
	GreaterEqual
	// Less is argument < Value.
	Less
	// LessEqual is argument <= Value.
	LessEqual
)

// Cond is a condition on argument Arg (0 to 5), compared as an unsigned 64-bit number.
type Cond struct {
	Arg         uint
	Op          Op
	Value, Mask uint64
}

// Rule says what becomes of system call Nr when all of Conds hold.
type Rule struct {
	Nr    uint64
	Act   Act
	Errno uint16 // for Act Errno
	Conds []Cond
}

// TraceData tells Trace's stops from those that filters of the program's own ask for.
const TraceData = 0x5278

// Filter is a set of rules. Calls that no rule matches get Default. Calls by another ABI than
// x86-64's own (int 0x80, x32) are answered with ENOSYS.
type Filter struct {
	Default      Act
	DefaultErrno uint16 // for Default Errno
	Rules        []Rule
}

// Version returns libseccomp's version.
func Version() string {
	major, minor, micro := libseccomp.GetLibraryVersion()
	return fmt.Sprintf("%d.%d.%d", major, minor, micro)
}

// Number returns the number of the x86-64 system call that libseccomp knows by this name.
func Number(name string) (nr uint64, ok bool) {
	n, err := libseccomp.GetSyscallFromNameByArch(name, libseccomp.ArchAMD64)
	// Negative ones stand for calls of other architectures.
	return uint64(n), err == nil && n >= 0
}

// Export returns the filter as a BPF program, an array of struct sock_filter. It is exported
// instead of loaded: libseccomp-golang's filters always ask for TSYNC, which would put this
// process's own threads under it.
func (f Filter) Export() ([]byte, error) {
	if spans, ok, err := f.table(); err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	} else if ok {
		return assemble(spans), nil
	}
	def, err := action(f.Default, f.DefaultErrno)
	if err != nil {
		return nil, err
	}
	filter, err := libseccomp.NewFilter(def)
	if err != nil {
		return nil, fmt.Errorf("seccomp: %w", err)
	}
	defer filter.Release()
	if err := filter.SetBadArchAction(libseccomp.ActErrno.SetReturnCode(int16(unix.ENOSYS))); err != nil {
		return nil, fmt.Errorf("seccomp: bad architecture action: %w", err)
	}
	// A binary tree over the numbers instead of a chain of comparisons; an older library
	// does without.
	_ = filter.SetOptimize(2)
	for _, r := range f.Rules {
		if r.Act == f.Default && (r.Act != Errno || r.Errno == f.DefaultErrno) {
			continue // libseccomp takes this for a mistake
		}
		if err := add(filter, r); err == unix.EEXIST {
			return nil, fmt.Errorf("seccomp: rules for system call %d that contradict each other", r.Nr)
		} else if err != nil {
			return nil, fmt.Errorf("seccomp: rule for system call %d: %w", r.Nr, err)
		}
	}
	return export(filter)
}

// maxNumber is below the bit that marks x32's calls, all of which are refused.
const maxNumber = 0x3fffffff

// MaxErrno is the largest errno that libseccomp takes.
const MaxErrno = 4094

func add(filter *libseccomp.ScmpFilter, r Rule) error {
	if r.Nr > maxNumber {
		return fmt.Errorf("no number of an x86-64 system call")
	}
	act, err := action(r.Act, r.Errno)
	if err != nil {
		return err
	}
	nr := libseccomp.ScmpSyscall(r.Nr)
	if len(r.Conds) == 0 {
		return filter.AddRule(nr, act)
	}
	conds := make([]libseccomp.ScmpCondition, len(r.Conds))
	for i, c := range r.Conds {
		if conds[i], err = condition(c); err != nil {
			return err
		}
	}
	return filter.AddRuleConditional(nr, act, conds)
}

func condition(c Cond) (libseccomp.ScmpCondition, error) {
	switch c.Op {
	case Equal:
		return libseccomp.MakeCondition(c.Arg, libseccomp.CompareEqual, c.Value)
	case NotEqual:
		return libseccomp.MakeCondition(c.Arg, libseccomp.CompareNotEqual, c.Value)
	case MaskedEqual:
		return libseccomp.MakeCondition(c.Arg, libseccomp.CompareMaskedEqual, c.Mask, c.Value)
	case Greater:
		return libseccomp.MakeCondition(c.Arg, libseccomp.CompareGreater, c.Value)
	case GreaterEqual:
		return libseccomp.MakeCondition(c.Arg, libseccomp.CompareGreaterEqual, c.Value)
	case Less:
		return libseccomp.MakeCondition(c.Arg, libseccomp.CompareLess, c.Value)
	case LessEqual:
		return libseccomp.MakeCondition(c.Arg, libseccomp.CompareLessOrEqual, c.Value)
	}
	return libseccomp.ScmpCondition{}, fmt.Errorf("unknown comparison %d", c.Op)
}

func action(a Act, errno uint16) (libseccomp.ScmpAction, error) {
	switch a {
	case Allow:
		return libseccomp.ActAllow, nil
	case Trace:
		return libseccomp.ActTrace.SetReturnCode(TraceData), nil
	case Notify:
		return libseccomp.ActNotify, nil
	case Errno:
		if errno > MaxErrno {
			return libseccomp.ActInvalid, fmt.Errorf("no errno: %d", errno)
		}
		return libseccomp.ActErrno.SetReturnCode(int16(errno)), nil
	case Kill:
		return libseccomp.ActKillProcess, nil
	case KillThread:
		return libseccomp.ActKillThread, nil
	case Trap:
		return libseccomp.ActTrap, nil
	case Log:
		return libseccomp.ActLog, nil
	}
	return libseccomp.ActInvalid, fmt.Errorf("unknown action %d", a)
}

// export writes the program to a memfd and reads it back: libseccomp exports to descriptors only.
func export(filter *libseccomp.ScmpFilter) ([]byte, error) {
	fd, err := unix.MemfdCreate("runsbx-filter", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("seccomp: memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), "runsbx-filter")
	defer file.Close()
	if err := filter.ExportBPF(file); err != nil {
		return nil, fmt.Errorf("seccomp: export: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("seccomp: export: %w", err)
	}
	return io.ReadAll(file)
}
