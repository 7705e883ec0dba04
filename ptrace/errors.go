package ptrace

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Error is a failure of the host: the operation and the thread that it was done to.
type Error struct {
	Op  string
	TID int
	Err error
}

// Error returns one line.
func (e *Error) Error() string {
	if e.TID != 0 {
		return fmt.Sprintf("%s (thread %d): %v", e.Op, e.TID, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExecError says that the program could not be executed, in contrast to a failure of the host.
type ExecError struct {
	Path string
	Err  error // the errno of execve(2) or of a step before it in the child
}

// Error returns one line.
func (e *ExecError) Error() string { return fmt.Sprintf("%s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *ExecError) Unwrap() error { return e.Err }

// gone reports whether err means that the thread has died: whatever it was in, any request then
// fails with ESRCH, and its end is about to be reported by wait4. This is the only place that
// knows.
func gone(err error) bool { return errors.Is(err, unix.ESRCH) }
