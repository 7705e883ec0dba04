package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// rlimits are the limits of a policy that the kernel keeps for each process (setrlimit(2)).
var rlimits = map[string]int{
	policy.LimitAS: unix.RLIMIT_AS, policy.LimitData: unix.RLIMIT_DATA,
	policy.LimitStack: unix.RLIMIT_STACK, policy.LimitMemLock: unix.RLIMIT_MEMLOCK,
	policy.LimitFileSize: unix.RLIMIT_FSIZE, policy.LimitCore: unix.RLIMIT_CORE, policy.LimitOpenFiles: unix.RLIMIT_NOFILE,
}

// rlimitsOf returns the limits of the policy that the program is to be started with: soft and hard, so
// that it cannot raise them.
func rlimitsOf(p *policy.Policy) []ptrace.Rlimit {
	var l []ptrace.Rlimit
	for _, name := range slices.Sorted(maps.Keys(rlimits)) {
		if v, byDefault, limited := p.Limit(name); limited {
			l = append(l, ptrace.Rlimit{Resource: rlimits[name], Cur: v, Max: v, AtMost: byDefault})
		}
	}
	return l
}

// hardLimits returns what no process of the tree may have more of.
func hardLimits(p *policy.Policy) limits.Rlimits {
	l := limits.Unlimited()
	for name, to := range map[string]*uint64{
		policy.LimitAS: &l.ASMax, policy.LimitData: &l.DataMax, policy.LimitStack: &l.StackMax, policy.LimitMemLock: &l.MemLockMax,
	} {
		if v, ok := p.Limits[name]; ok {
			*to = v
		}
	}
	return l
}

// checkHost returns a *policy.LimitError for a limit that cannot be had on this host, where
// vm.max_map_count is maxMapCount.
func checkHost(p *policy.Policy, maxMapCount int) error {
	if n, ok := p.Limits[policy.LimitMapCount]; ok && n > uint64(maxMapCount) {
		return &policy.LimitError{Name: policy.LimitMapCount, Value: n,
			Why: fmt.Sprintf("above this host's vm.max_map_count of %d", maxMapCount)}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Limits)) {
		resource, ok := rlimits[name]
		if !ok {
			continue
		}
		var own unix.Rlimit
		if err := unix.Prlimit(0, resource, nil, &own); err != nil {
			return &Error{Op: "limits", Err: err}
		}
		if v := p.Limits[name]; v > own.Max && !mayRaise() {
			return &policy.LimitError{Name: name, Value: v, Why: fmt.Sprintf(
				"above the hard limit of %s, which needs CAP_SYS_RESOURCE", policy.FormatLimit(name, own.Max))}
		}
	}
	return nil
}

// mayRaise reports whether this process may raise hard limits.
func mayRaise() bool {
	creds, err := new(machine).Creds(&kernel.Task{TID: os.Getpid()})
	return err == nil && creds.SysResource
}

// needs is what a program's image takes, by the names of limits.
type needs map[string]uint64

// measure looks at the image of a process that has not run yet. What cannot be seen is left out.
func measure(pid int) needs {
	n := needs{}
	// How much of the room that the kernel gives its stack it needs, nobody knows.
	status, _ := os.ReadFile(procPath(pid, "status"))
	for name, field := range map[string]string{policy.LimitAS: "VmPeak", policy.LimitData: "VmData"} {
		if kB, err := strconv.ParseUint(strings.TrimSuffix(statusField(string(status), field), " kB"), 10, 64); err == nil {
			n[name] = kB << 10
		}
	}
	list, _ := os.ReadFile(procPath(pid, "maps"))
	n[policy.LimitMapCount] = uint64(bytes.Count(list, []byte("\n")) - bytes.Count(list, []byte("[vsyscall]")))
	return n
}

// tooMany returns the error of an image that has more mappings than the policy allows; nil when it has
// not. It is no limit of the host's, which would not have loaded the image.
func (n needs) tooMany(c *Cmd) error {
	limit, ok := c.Policy.Limits[policy.LimitMapCount]
	const over = 1 // Linux refuses a mapping only when there are more than the limit already
	if has := n[policy.LimitMapCount]; ok && has > limit+over && limit+over > limit {
		return &LimitError{Path: c.Path, Limits: []TightLimit{{policy.LimitMapCount, limit, has - over}}, Err: unix.ENOMEM}
	}
	return nil
}

// limitError says which of the policy's limits were too low for the program's image.
func (n needs) limitError(c *Cmd, e *ptrace.RlimitError) error {
	if !e.Status.Signaled() && !errors.Is(e.Err, unix.E2BIG) && !errors.Is(e.Err, unix.ENOMEM) {
		return &StartError{Path: c.Path, Err: e.Err} // its file has changed meanwhile
	}
	var low, unknown []TightLimit
	for _, name := range []string{policy.LimitAS, policy.LimitData, policy.LimitStack} {
		limit, ok := c.Policy.Limits[name]
		switch has, known := n[name]; {
		case ok && has > limit:
			low = append(low, TightLimit{Name: name, Limit: limit, Needs: has})
		case ok && !known:
			unknown = append(unknown, TightLimit{Name: name, Limit: limit})
		}
	}
	if len(low) == 0 {
		low = unknown
	}
	return &LimitError{Path: c.Path, Limits: low, Err: e.Err, Status: syscall.WaitStatus(e.Status)}
}

// setBack gives a task the limits that it had before a call that must not have raised them.
func (m *machine) setBack(r *kernel.Raised) error {
	for _, x := range [...]struct {
		resource int
		cur, max uint64
	}{
		{unix.RLIMIT_AS, r.Before.AS, r.Before.ASMax}, {unix.RLIMIT_DATA, r.Before.Data, r.Before.DataMax},
		{unix.RLIMIT_STACK, r.Before.Stack, r.Before.StackMax}, {unix.RLIMIT_MEMLOCK, r.Before.MemLock, r.Before.MemLockMax},
	} {
		var now unix.Rlimit
		err := unix.Prlimit(r.TID, x.resource, nil, &now)
		if err == nil && now.Max > x.max {
			err = unix.Prlimit(r.TID, x.resource, &unix.Rlimit{Cur: x.cur, Max: x.max}, nil)
		}
		if err != nil && err != unix.ESRCH {
			return fmt.Errorf("limits of thread %d: %w", r.TID, err)
		}
	}
	return nil
}

// changesLimits reports whether a call may set limits.
func changesLimits(nr uint64) bool { return nr == linux.SYS_SETRLIMIT || nr == linux.SYS_PRLIMIT64 }

// heldLimits returns the limits of a policy that a program could raise and that the model does not follow:
// only one that is not confined may have the privilege.
func heldLimits(p *policy.Policy) (held []ptrace.Rlimit) {
	if !p.Unconfined || !mayRaise() {
		return nil
	}
	for _, l := range rlimitsOf(p) {
		switch l.Resource {
		case unix.RLIMIT_FSIZE, unix.RLIMIT_CORE, unix.RLIMIT_NOFILE:
			held = append(held, l)
		}
	}
	return held
}

// hold takes back what a call has raised above the policy, and reports whether it did.
func (s *supervisor) hold(tid int, call *ptrace.Syscall) bool {
	target, resource := tid, int(call.Args[0])
	if call.Nr == linux.SYS_PRLIMIT64 {
		if resource = int(call.Args[1]); call.Args[0] != 0 {
			target = int(int32(call.Args[0]))
		}
	}
	for _, l := range s.held {
		var now unix.Rlimit
		if l.Resource != resource || unix.Prlimit(target, resource, nil, &now) != nil || now.Max <= l.Max {
			continue
		}
		err := unix.Prlimit(target, resource, &unix.Rlimit{Cur: min(now.Cur, l.Max), Max: l.Max}, nil)
		if err != nil && err != unix.ESRCH {
			s.fail("limits", target, err)
		}
		return true
	}
	return false
}
