package main

import (
	"fmt"
	"strings"

	"github.com/runsbx/runsbx/sentry/linux"
)

// setInject validates CALL:error=ERRNO[:when=EXPR].
func setInject(o *options, v string) error {
	call, rest, _ := strings.Cut(v, ":")
	if !knownCall(call) {
		return fmt.Errorf("unknown system call %q", call)
	}
	failure, when, hasWhen := strings.Cut(rest, ":")
	name, ok := strings.CutPrefix(failure, "error=")
	if !ok {
		return fmt.Errorf("%q is not CALL:error=ERRNO[:when=EXPR]", v)
	}
	if _, ok := linux.ErrnoByName(name); !ok {
		return fmt.Errorf("unknown error %q", name)
	}
	if hasWhen {
		expr, ok := strings.CutPrefix(when, "when=")
		if !ok || !validWhen(expr) {
			return fmt.Errorf("%q is not when=FIRST[..LAST][+[STEP]]", when)
		}
	}
	o.policy.Inject = append(o.policy.Inject, v)
	return nil
}

// knownCall reports whether name is a system call of the amd64 table.
func knownCall(name string) bool {
	const lastCall = 600 // beyond the end of the table; numbers without a name have another form
	for nr := range uint64(lastCall) {
		if linux.SyscallName(nr) == name {
			return !strings.HasPrefix(name, "syscall_")
		}
	}
	return false
}

// validWhen reports whether s is FIRST, FIRST+, FIRST+STEP, or one of these with FIRST..LAST in
// the place of FIRST. Calls are counted from 1.
func validWhen(s string) bool {
	spec, step, hasStep := strings.Cut(s, "+")
	first, end, hasLast := strings.Cut(spec, "..")
	a, err := parseCount(first)
	if err != nil || a == 0 {
		return false
	}
	if hasLast {
		if b, err := parseCount(end); err != nil || b < a {
			return false
		}
	}
	if hasStep && step != "" {
		if n, err := parseCount(step); err != nil || n == 0 {
			return false
		}
	}
	return true
}
