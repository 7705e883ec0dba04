package sandbox

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/wx"
)

// judged records what was found in the decision on t's call (see wx).
func (s *supervisor) judged(t *kernel.Task, c *kernel.Call, v *kernel.Verdict) {
	found := s.k.TakeFindings()
	if v.Kind == kernel.Wait {
		return // it will be found again
	}
	for i := range found {
		r := s.report.judge(t, c, &found[i], v.Kind == kernel.Refuse)
		if s.trace == nil {
			continue
		}
		if err := s.trace.finding(t, &r); err != nil {
			s.fail("trace", t.TID, err)
			s.engine.Kill()
		}
	}
}

// protecting is a mapping that is to become executable now that the kernel's list shows of what it is
// (see kernel.Protect).
type protecting struct {
	addr  int64 // what the program's mmap returned
	errno int64 // what it returns instead when it must not be executed, negated
}

// protect has t give its new mapping the protection that it asked for.
func (s *supervisor) protect(t *kernel.Task, got mm.Result) {
	c, more := s.k.Protect(t, got)
	if !more {
		return
	}
	if s.protecting == nil {
		s.protecting = make(map[int]*protecting)
	}
	s.protecting[t.TID] = &protecting{addr: int64(got.Addr)}
	s.engine.Detour(t.TID, c.Nr, c.Args)
}

// protected goes on with that when a call of it has returned ret. What it returns is what the program's mmap
// does.
func (s *supervisor) protected(t *kernel.Task, p *protecting, call *ptrace.Syscall, ret int64) int64 {
	switch {
	case call.Nr == linux.SYS_MPROTECT && ret < 0:
		p.errno = ret
		s.engine.Detour(t.TID, linux.SYS_MUNMAP, [6]uint64{call.Args[0], call.Args[1]})
		return ret
	case call.Nr == linux.SYS_MUNMAP && ret < 0:
		s.fail("munmap", t.TID, linux.Errno(-ret))
		s.engine.Kill()
	}
	delete(s.protecting, t.TID)
	if p.errno != 0 {
		return p.errno
	}
	return p.addr
}

// refusesExec returns why t may not execute what its execve or execveat names: a program that the sandbox
// has written. It is a courtesy, since the program can change what its call names: what counts is looked at
// when the image is there. Then there is no way back.
func (s *supervisor) refusesExec(t *kernel.Task, call *ptrace.Syscall) *limits.Refusal {
	c := s.machine.code
	if c == nil || s.wx != policy.WXDeny || t.Trusted() {
		return nil
	}
	fd, err := openExec(t.TID, call)
	if err != nil {
		return nil // the kernel says what is wrong
	}
	defer unix.Close(fd)
	self := procSelfFd(fd)
	path, err := os.Readlink(self)
	var st unix.Stat_t
	if err != nil || unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || isScript(self) {
		return nil
	}
	if !c.changeable(path, &st, true) {
		return nil
	}
	f := wx.Finding{File: path, Reason: wx.Changeable}
	s.report.judge(t, &kernel.Call{Nr: call.Nr, IP: call.IP}, &f, true)
	return &limits.Refusal{Kind: limits.ByPolicy, Resource: limits.WX, Detail: f.String(), Errno: linux.EACCES}
}

// isScript reports whether an interpreter is executed in place of the file, which is only read.
func isScript(path string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	var b [2]byte
	_, err = f.ReadAt(b[:], 0)
	return err == nil && string(b[:]) == "#!"
}

// openExec opens what an execve or execveat names, without access to it (O_PATH).
func openExec(tid int, call *ptrace.Syscall) (fd int, err error) {
	l := lookup{tid: tid, dir: unix.AT_FDCWD}
	name, flags := call.Args[0], uint64(0)
	if call.Nr == linux.SYS_EXECVEAT {
		l.dir, name, flags = int32(call.Args[0]), call.Args[1], call.Args[4]
	}
	var ok bool
	if l.path, ok = readString(tid, name); !ok {
		return -1, unix.EFAULT
	}
	if l.path == "" && flags&unix.AT_EMPTY_PATH == 0 {
		return -1, unix.ENOENT
	}
	l.nofollow = flags&unix.AT_SYMLINK_NOFOLLOW != 0
	return l.open()
}
