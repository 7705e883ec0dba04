package ptrace

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Error is a failure of the host or of the Handler: the operation and the thread that it was
// done to.
type Error struct {
	Op  string
	TID int // 0 when it concerns no thread in particular
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

// ok reports whether a request made of a thread of the tree succeeded.
//
// ESRCH means that the thread was killed: whatever stop it was in, every request then fails so,
// and its end is about to be reported by wait4. There is nothing to do but to wait for that. This
// is the only place that knows. Any other errno is a failure.
func (t *Tracer) ok(op string, tid int, errno unix.Errno) bool {
	switch errno {
	case 0:
		return true
	case unix.ESRCH:
		return false
	}
	t.fail(&Error{Op: op, TID: tid, Err: errno})
	return false
}

// ErrPersonality is what Start's error wraps when the program's personality cannot be changed as
// Config asks for.
var ErrPersonality = errors.New("the personality cannot be changed here")

// errTraced is why Start fails in a process that is itself traced.
var errTraced = errors.New("this process is itself traced, and its children with it: a process has one tracer")
