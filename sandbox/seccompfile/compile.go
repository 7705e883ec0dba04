package seccompfile

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/runsbx/runsbx/ptrace/seccomp"
	"github.com/runsbx/runsbx/sentry/linux"
)

// compile makes the filter of a profile whose rules were checked, and all hold.
func compile(p *specs.LinuxSeccomp, prefix string) (*Profile, error) {
	out := &Profile{}
	f := &out.Filter
	var err error
	if f.Default, f.DefaultErrno, err = action(p.DefaultAction, p.DefaultErrnoRet); err != nil {
		return nil, &Error{Where: prefix + "defaultAction", Err: err}
	}
	newest := uint64(0)
	for _, c := range p.Syscalls {
		act, errno, err := action(c.Action, c.ErrnoRet)
		if err != nil {
			return nil, &Error{Where: prefix + "syscalls", Err: err}
		}
		sets, err := conditions(c.Args)
		if err != nil {
			return nil, &Error{Where: prefix + "syscalls", Err: err}
		}
		for _, name := range c.Names {
			nr, ok := number(name)
			if !ok {
				out.Unknown = append(out.Unknown, name)
				continue
			}
			newest = max(newest, nr)
			for _, conds := range sets {
				f.Rules = append(f.Rules, seccomp.Rule{Nr: nr, Act: act, Errno: errno, Conds: conds})
			}
			if len(f.Rules) > maxRules {
				return nil, &Error{Where: prefix + "syscalls", Err: fmt.Errorf("more than %d rules", maxRules)}
			}
		}
	}
	f.Rules = append(f.Rules, newer(f, newest)...)
	return out, nil
}

// number looks a name up. libseccomp does not know what is newer than itself, nor we.
func number(name string) (nr uint64, ok bool) {
	if nr, ok = linux.SyscallNumber(name); ok {
		return nr, true
	}
	return seccomp.Number(name)
}

// conditions returns the sets of conditions by any of which a rule holds. Conditions on different
// arguments must hold together. Where two are on the same argument, which a rule of libseccomp cannot
// have, runc makes each of them a rule of its own, and so profiles mean that.
func conditions(args []specs.LinuxSeccompArg) ([][]seccomp.Cond, error) {
	var all []seccomp.Cond
	twice := false
	for _, a := range args {
		c, err := condition(a)
		if err != nil {
			return nil, err
		}
		twice = twice || slices.ContainsFunc(all, func(o seccomp.Cond) bool { return o.Arg == c.Arg })
		all = append(all, c)
	}
	if !twice {
		return [][]seccomp.Cond{all}, nil
	}
	var each [][]seccomp.Cond
	for _, c := range all {
		each = append(each, []seccomp.Cond{c})
	}
	return each, nil
}

// lastNumber is up to where calls that a profile cannot know are answered with ENOSYS; the kernel's
// own last number was 471 in 2026.
const lastNumber = 511

// newer returns rules for the calls that are newer than all that the profile names. It cannot mean
// them, and a program takes ENOSYS for an older kernel and falls back, where EPERM would end it. runc
// does the same (libcontainer/seccomp/patchbpf).
func newer(f *seccomp.Filter, newest uint64) (rules []seccomp.Rule) {
	if newest == 0 || f.Default == seccomp.Allow || f.Default == seccomp.Log {
		return nil
	}
	for nr := newest + 1; nr <= lastNumber; nr++ {
		rules = append(rules, seccomp.Rule{Nr: nr, Act: seccomp.Errno, Errno: uint16(linux.ENOSYS)})
	}
	return rules
}
