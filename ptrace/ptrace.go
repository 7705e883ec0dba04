// Package ptrace runs a process tree under a supervisor: it starts the program, stops its system
// calls by ptrace(2) or by a seccomp user notification, rewrites, skips or injects calls, and
// follows every process and thread to its end. It knows nothing of memory policy: a Handler
// decides.
package ptrace

import "golang.org/x/sys/unix"

// Mechanism says how a call was stopped.
type Mechanism uint8

const (
	// Stop is a ptrace stop (SECCOMP_RET_TRACE): the call can be skipped, rewritten, and
	// followed to its exit.
	Stop Mechanism = iota
	// Notification is a seccomp user notification (SECCOMP_RET_USER_NOTIF): a third of a
	// stop's cost, but the call can only be continued unchanged or answered.
	Notification
)

// Syscall is a stopped system call of one thread.
type Syscall struct {
	Nr        uint64    // number in the amd64 table
	Args      [6]uint64 // rdi, rsi, rdx, r10, r8, r9
	IP        uint64    // address after the syscall instruction
	SP        uint64    // stack pointer; 0 when it is not known (Notification)
	Mechanism Mechanism
}

// Signal is a signal about to be delivered (siginfo_t).
type Signal struct {
	Number unix.Signal
	Code   int    // SI_USER, SEGV_MAPERR, ...
	Sender int    // process id, of a signal that was sent
	Addr   uint64 // of a fault
}

// ActionKind is what becomes of a stopped call.
type ActionKind uint8

const (
	// Continue runs the call unchanged; its end is not reported.
	Continue ActionKind = iota
	// Finish runs the call unchanged and reports its end to Handler.SyscallExit. Stop only.
	Finish
	// Return skips the call and makes it return Action.Value.
	Return
	// Rewrite runs the call with Action.Args in place of its own, and as call Action.Nr where
	// that is not zero, reports its end to
	// Handler.SyscallExit, and gives the program its own argument registers back. Stop only.
	Rewrite
	// Park leaves the thread waiting in the call until Tracer.Unpark; the call is then
	// presented to Handler.SyscallEnter again.
	Park
	// Interrupt has the call begin again, and what waits for the thread come first: the stop of its
	// process, or a signal's handler, after which it is EINTR if that is one without SA_RESTART.
	// Notification only.
	Interrupt
	// Confine has the thread load one more seccomp filter, Action.Filter, for all threads of its
	// group (SECCOMP_FILTER_FLAG_TSYNC), reports what seccomp(2) returned to Handler.SyscallExit, as
	// the end of a call of that number, and has the call begin again, which is presented anew. -ENOMEM
	// says that it could not be tried. A filter that answers TRACE does so with seccomp.TraceData.
	// Stop only.
	Confine
	// Kill ends the whole tree.
	Kill
)

// Action is a Handler's answer to a stopped call.
type Action struct {
	Kind  ActionKind
	Value int64     // for Return: the value the program sees, an errno negated
	Args  [6]uint64 // for Rewrite
	Nr    uint64    // for Rewrite: another call; filters look at it again. 0 is the same call

	Filter []byte // for Confine: an array of struct sock_filter
}

// Handler decides. Its methods are called from several threads (the one that waits for ptrace
// stops, the one that receives notifications, and those that Unpark starts), possibly at once, so
// it locks for itself; they must not block on the tree's progress. They may call the Tracer's
// methods, holding their lock or not: none of those calls back. For one thread of the tree, the
// order is: Created (or Exec for the first), then calls, then Exited. A thread of the tree runs no
// user code between a Created or Exec report and its return.
//
// A method that panics ends the tree, and no method is called any more. Locks should be released
// by defer, lest another thread of ours waits for one forever.
type Handler interface {
	// SyscallEnter decides a stopped call of thread tid.
	SyscallEnter(tid int, call *Syscall) Action
	// SyscallExit reports the value (an errno negated) that a Finish or Rewrite call of
	// thread tid returned. The value it returns is what the program sees.
	SyscallExit(tid int, call *Syscall, ret int64) int64
	// Created reports that thread parent has made thread or process child. flags are the
	// clone flags without the exit signal (CLONE_VM|CLONE_VFORK for vfork, 0 for fork); child
	// shares the address space when flags has CLONE_VM and is a thread of the same group
	// when it has CLONE_THREAD. Neither has run since.
	Created(parent, child int, flags uint64)
	// Exec reports that thread former has executed a new image and is known as tid from
	// now on (they differ when a thread other than the leader did); all other threads of
	// its group are gone. It is called for the first program too. The address space is new.
	Exec(tid, former int)
	// Signaled reports that a signal is about to be delivered to thread tid. It may have a
	// handler there, or be ignored. SIGKILL is not delivered, and not reported. When it returns
	// true, the signal is not delivered: the thread does again what it was raised for.
	Signaled(tid int, sig *Signal) (again bool)
	// Exiting reports that thread tid is about to end; its address space is still there.
	// Only with Config.ExitStops, and not promised: SIGKILL can overtake it.
	Exiting(tid int)
	// Exited reports that thread tid has ended.
	Exited(tid int, status unix.WaitStatus)
	// Proved reports that thread tid has left the call it was in when Tracer.Prove(tid) was
	// called: it was seen in user mode since, in another call, or dead. It is called for
	// threads that Prove was called for, and before the SyscallEnter or Exited that shows it.
	Proved(tid int)
}
