package sandbox

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/linux"
)

func isClone(nr uint64) bool {
	switch nr {
	case linux.SYS_CLONE, linux.SYS_CLONE3, linux.SYS_FORK, linux.SYS_VFORK:
		return true
	}
	return false
}

// clone decides a call that makes a thread or process.
func (s *supervisor) clone(t *kernel.Task, call *ptrace.Syscall) (a ptrace.Action, prove int) {
	a = plainClone(t.TID, call)
	if a.Kind == ptrace.Return || !s.k.CountsClones() {
		return s.orKill(a), 0
	}
	var flags uint64
	switch call.Nr {
	case linux.SYS_VFORK:
		flags = linux.CLONE_VM | linux.CLONE_VFORK
	case linux.SYS_CLONE:
		flags = call.Args[0]
	case linux.SYS_CLONE3:
		flags = a.Args[0]
	}
	if flags&linux.CLONE_FILES != 0 && flags&linux.CLONE_THREAD == 0 && s.k.Counts() && !t.Group.Watched {
		// What one process of the two gets, the other has as well.
		a, prove := s.watchFirst(t, call)
		return s.orKill(a), prove
	}
	v, err := s.k.DecideClone(t, call.Nr, flags)
	if err != nil {
		s.fail(linux.SyscallName(call.Nr), t.TID, err)
	}
	switch v.Kind {
	case kernel.Wait:
		return s.orKill(ptrace.Action{Kind: ptrace.Park}), v.WaitFor
	case kernel.Refuse:
		s.record(t, new(callOf(call)), &v)
		a = ptrace.Action{Kind: ptrace.Return, Value: v.Result.Value()}
	}
	return s.orKill(a), 0
}

// plainClone makes a clone with CLONE_UNTRACED, or a clone3, the clone that does the same with a
// child that is traced. What decides is in registers then.
func plainClone(tid int, call *ptrace.Syscall) ptrace.Action {
	if call.Nr != linux.SYS_CLONE3 && (call.Nr != linux.SYS_CLONE || call.Args[0]&linux.CLONE_UNTRACED == 0) {
		return ptrace.Action{Kind: ptrace.Finish}
	}
	a := ptrace.Action{Kind: ptrace.Rewrite, Nr: linux.SYS_CLONE, Args: call.Args}
	if call.Nr == linux.SYS_CLONE3 {
		var errno linux.Errno
		if a.Args, errno = clone3Args(tid, call.Args[0], call.Args[1]); errno != 0 {
			return ptrace.Action{Kind: ptrace.Return, Value: -int64(errno)}
		}
	}
	a.Args[0] &^= linux.CLONE_UNTRACED
	return a
}

// clone3Args reads the structure of a clone3 and returns the arguments of the clone that does the
// same. Where it cannot be looked at, ENOSYS makes the program use clone.
func clone3Args(tid int, addr, size uint64) (args [6]uint64, errno linux.Errno) {
	if errno := kernel.CheckCloneArgsSize(size); errno != 0 {
		return args, errno
	}
	raw := make([]byte, size)
	switch err := ptrace.ReadMemory(tid, addr, raw); {
	case errors.Is(err, unix.EFAULT), errors.Is(err, unix.EIO):
		return args, linux.EFAULT
	case err != nil:
		return args, linux.ENOSYS
	}
	return kernel.Clone3(raw)
}
