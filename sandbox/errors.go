package sandbox

import (
	"fmt"
	"syscall"
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
