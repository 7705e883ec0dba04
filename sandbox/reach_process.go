package sandbox

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/ptrace/seccomp"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Calls that change another process name it by a number. Numbers of the sandbox pass, others are answered
// with EPERM: that such a process is there, /proc shows. What only reads (getpriority, sched_getaffinity,
// getpgid, prlimit64 without new limits) is left alone; what needs the access of a debugger
// (process_madvise, get_robust_list, prctl(PR_SCHED_CORE)) Landlock refuses; setpgid is for children only.
//
// A number may be given up and taken by another process between the look and the call, as it may natively
// between any two calls.

// byNumber are the calls whose first argument is the number of a process or thread, 0 for the caller.
var byNumber = [...]uint64{
	linux.SYS_SCHED_SETAFFINITY, linux.SYS_SCHED_SETSCHEDULER, linux.SYS_SCHED_SETPARAM, linux.SYS_SCHED_SETATTR,
	linux.SYS_MIGRATE_PAGES, linux.SYS_MOVE_PAGES, linux.SYS_PIDFD_OPEN,
}

// Whom setpriority and ioprio_set are for, which number them from 0 and from 1.
const (
	oneProcess = iota
	oneGroup
	oneUser
)

// Commands by which a descriptor's signals go to somebody (asm-generic/ioctls.h, sockios.h).
const (
	fiosetown = 0x8901
	siocspgrp = 0x8902
)

// processRules stop the calls that are decided by the number of a process. signals are decided only where
// Landlock does not keep them within the sandbox.
func processRules(signals bool) []seccomp.Rule {
	var rules []seccomp.Rule
	notify := func(nr uint64, conds ...seccomp.Cond) {
		rules = append(rules, seccomp.Rule{Nr: nr, Act: seccomp.Notify, Conds: conds})
	}
	refuse := func(nr uint64, errno linux.Errno, conds ...seccomp.Cond) {
		rules = append(rules, seccomp.Rule{Nr: nr, Act: seccomp.Errno, Errno: uint16(errno), Conds: conds})
	}
	for _, nr := range byNumber {
		notify(nr, seccomp.Cond{Arg: 0, Op: seccomp.NotEqual})
	}
	for nr, first := range map[uint64]uint64{linux.SYS_SETPRIORITY: 0, linux.SYS_IOPRIO_SET: 1} {
		notify(nr, masked(0, 0xffffffff, first+oneProcess), seccomp.Cond{Arg: 1, Op: seccomp.NotEqual})
		notify(nr, masked(0, 0xffffffff, first+oneGroup))
		notify(nr, masked(0, 0xffffffff, first+oneUser))
	}
	if !signals {
		return rules
	}
	for _, nr := range []uint64{
		linux.SYS_KILL, linux.SYS_TKILL, linux.SYS_TGKILL, linux.SYS_RT_SIGQUEUEINFO, linux.SYS_RT_TGSIGQUEUEINFO,
	} {
		notify(nr)
	}
	notify(linux.SYS_FCNTL, masked(1, 0xffffffff, unix.F_SETOWN))
	// These have the number in memory, or in a descriptor, which another thread could exchange.
	refuse(linux.SYS_FCNTL, linux.EPERM, masked(1, 0xffffffff, unix.F_SETOWN_EX))
	refuse(linux.SYS_IOCTL, linux.EPERM, masked(1, 0xffffffff, fiosetown))
	refuse(linux.SYS_IOCTL, linux.EPERM, masked(1, 0xffffffff, siocspgrp))
	refuse(linux.SYS_PIDFD_SEND_SIGNAL, linux.ENOSYS)
	return rules
}

// processCall decides the calls that processRules stops, and prlimit64, which the model decides as well.
func (s *supervisor) processCall(t *kernel.Task, call *ptrace.Syscall) (a ptrace.Action, ok bool) {
	a = ptrace.Action{Kind: ptrace.Continue}
	args := &call.Args
	first, second, third := int32(args[0]), int32(args[1]), int32(args[2])
	errno := linux.Errno(0)
	switch nr := call.Nr; nr {
	case linux.SYS_PRLIMIT64:
		if errno = s.mayChange(t, first); errno == 0 {
			return a, false
		}
	case linux.SYS_SCHED_SETAFFINITY, linux.SYS_SCHED_SETSCHEDULER, linux.SYS_SCHED_SETPARAM, linux.SYS_SCHED_SETATTR,
		linux.SYS_MIGRATE_PAGES, linux.SYS_MOVE_PAGES, linux.SYS_PIDFD_OPEN, linux.SYS_TKILL, linux.SYS_RT_SIGQUEUEINFO:
		errno = s.mayChange(t, first)
	case linux.SYS_TGKILL, linux.SYS_RT_TGSIGQUEUEINFO:
		errno = s.mayChange(t, second) // a thread of process first, or the kernel finds none
	case linux.SYS_SETPRIORITY:
		errno = s.mayChangeAll(t, first, second)
	case linux.SYS_IOPRIO_SET:
		errno = s.mayChangeAll(t, first-1, second)
	case linux.SYS_KILL:
		if first <= 0 {
			return s.killGroup(t, call), true
		}
		errno = s.mayChange(t, first)
	case linux.SYS_FCNTL:
		if errno = s.mayChange(t, third); third < 0 {
			errno = s.mayChangeAll(t, oneGroup, -third)
		}
	default:
		return a, false
	}
	switch errno {
	case 0:
		return a, true
	case linux.ESRCH: // as without us
		return answer(-int64(errno)), true
	}
	return s.forbid(t, call, limits.Processes, errno), true
}

// mayChange decides a call of t's that changes the process or thread with this number, as t knows it: 0, or
// EPERM, or ESRCH where there is none.
func (s *supervisor) mayChange(t *kernel.Task, id int32) linux.Errno {
	if id <= 0 {
		return 0 // the caller, or nobody
	}
	if !samePIDs(t.TID) {
		for _, tid := range s.k.Threads() {
			if ownNumber(tid) == int(id) {
				return 0
			}
		}
		return linux.ESRCH
	}
	switch pid := int(id); {
	case s.belongs(pid):
		return 0
	case unix.Kill(pid, 0) == unix.ESRCH:
		return linux.ESRCH
	}
	return linux.EPERM
}

// mayChangeAll is mayChange for one process, a group or a user, 0 for the caller's.
func (s *supervisor) mayChangeAll(t *kernel.Task, whom, id int32) linux.Errno {
	switch whom {
	case oneProcess:
		return s.mayChange(t, id)
	case oneGroup:
		if id == 0 {
			group, err := unix.Getpgid(t.TID)
			if err != nil {
				return linux.EPERM
			}
			id = int32(group)
		} else if !samePIDs(t.TID) {
			return linux.EPERM
		}
		return s.mayChangeGroup(int(id))
	case oneUser: // who has more processes than the sandbox's
		return linux.EPERM
	}
	return 0 // EINVAL
}

// mayChangeGroup is mayChange for all of a process group, of which some may not be the sandbox's: the first
// process inherits that of runsbx.
func (s *supervisor) mayChangeGroup(group int) linux.Errno {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return linux.EPERM
	}
	errno := linux.ESRCH
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if g, err := unix.Getpgid(pid); err != nil || g != group {
			continue
		}
		if !s.belongs(pid) {
			return linux.EPERM
		}
		errno = 0
	}
	return errno
}

// belongs reports whether a process or thread is the sandbox's: one that lives, or has ended and is still
// its parent's.
func (s *supervisor) belongs(id int) bool {
	if s.k.Task(id) != nil {
		return true
	}
	b, err := os.ReadFile(procPath(id, "stat"))
	if err != nil {
		return false
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 2 || string(fields[0]) != "Z" {
		return false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return err == nil && s.k.Task(parent) != nil
}

// samePIDs reports whether the task has the same numbers for processes as we do.
func samePIDs(tid int) bool {
	theirs, err1 := os.Readlink(procPath(tid, "ns/pid"))
	ours, err2 := os.Readlink("/proc/self/ns/pid")
	return err1 == nil && err2 == nil && theirs == ours
}

// killGroup sends the signal of a kill(2) to those of a process group, or of all processes, that are the
// sandbox's, with t's user and capabilities.
func (s *supervisor) killGroup(t *kernel.Task, call *ptrace.Syscall) ptrace.Action {
	const all = -1
	whom, sig := int(int32(call.Args[0])), unix.Signal(int32(call.Args[1]))
	if whom < all && !samePIDs(t.TID) {
		return s.forbid(t, call, limits.Processes, linux.EPERM)
	}
	group := -whom
	if whom == 0 {
		var err error
		if group, err = unix.Getpgid(t.TID); err != nil {
			return answer(-int64(linux.ESRCH))
		}
	}
	v := -int64(linux.ESRCH)
	err := withIdentity(t.TID, 1<<unix.CAP_KILL, func() {
		for _, pid := range s.k.Processes() {
			if g, err := unix.Getpgid(pid); whom == all && pid == t.Group.TGID || whom != all && (err != nil || g != group) {
				continue
			}
			if r := result(unix.Kill(pid, sig)); v != 0 {
				v = r // success is that one had it
			}
		}
	})
	if err != nil {
		return s.forbid(t, call, limits.Processes, linux.EPERM)
	}
	return answer(v)
}
