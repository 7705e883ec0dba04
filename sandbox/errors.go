package sandbox

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/runsbx/runsbx/sandbox/policy"
)

// Error is a failure of the sandbox itself: of the host, of an assumption about the kernel, or of
// our own code. The tree has been killed when it is returned by Wait.
type Error struct {
	Op  string // what was being done
	TID int    // the thread it was done for; 0 when there is none
	Err error
}

// Error returns one line, except where it wraps a *kernel.Drift, which shows a list.
func (e *Error) Error() string {
	if e.TID != 0 {
		return fmt.Sprintf("%s (thread %d): %v", e.Op, e.TID, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// StartError says that the program could not be executed: it is missing, not executable, and so
// on. It wraps exec.ErrNotFound or the errno of execve(2).
type StartError struct {
	Path string
	Err  error
}

// Error returns one line.
func (e *StartError) Error() string { return fmt.Sprintf("%s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// LimitError says that the program could be executed without the policy's limits and not under them:
// execve(2) failed, or the kernel ended the program in it, before its first instruction.
type LimitError struct {
	Path   string
	Limits []TightLimit       // those that are too low, or may be where that is not known
	Err    error              // the errno of execve(2)
	Status syscall.WaitStatus // how the kernel ended the program; no signal's where execve failed
}

// TightLimit is a limit, and what a program's image takes of it without one; 0 when that is not known.
type TightLimit struct {
	Name         string
	Limit, Needs uint64
}

// Error returns one line.
func (e *LimitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q: cannot start: ", e.Path)
	for i, l := range e.Limits {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s limit %s", l.Name, policy.FormatLimit(l.Name, l.Limit))
		if l.Needs > 0 {
			fmt.Fprintf(&b, " (needs %s)", policy.FormatLimit(l.Name, l.Needs))
		}
	}
	if !e.Status.Signaled() && e.Err != syscall.ENOMEM { // which says no more
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *LimitError) Unwrap() error { return e.Err }

// TimeoutError says that the tree was killed since its time was up.
type TimeoutError struct{ After time.Duration }

// Error returns one line.
func (e *TimeoutError) Error() string { return fmt.Sprintf("killed after %v (timeout)", e.After) }

// ExitError says that the program's first process ended with a status other than 0, or by a
// signal.
type ExitError struct {
	Status syscall.WaitStatus
	Report *Report
}

// Error returns "exit status N" or "signal: NAME", as os/exec words them.
func (e *ExitError) Error() string {
	switch {
	case e.Status.Exited():
		return fmt.Sprintf("exit status %d", e.Status.ExitStatus())
	case e.Status.CoreDump():
		return fmt.Sprintf("signal: %s (core dumped)", e.Status.Signal())
	case e.Status.Signaled():
		return fmt.Sprintf("signal: %s", e.Status.Signal())
	}
	return fmt.Sprintf("wait status %#x", uint32(e.Status))
}

// ExitCode returns the exit status, or -1 when a signal ended the program.
func (e *ExitError) ExitCode() int { return e.Status.ExitStatus() }
