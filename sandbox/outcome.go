package sandbox

import (
	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/linux"
)

// complete takes over the outcome of a call of t's that the model has decided, and returns what the program
// is to see.
func (s *supervisor) complete(t *kernel.Task, call *ptrace.Syscall, ret int64) int64 {
	tid := t.TID
	s.mapped(t, call)
	res, drift, err := s.k.Complete(t, ret)
	s.noteHidden(tid)
	if err != nil {
		s.fail(linux.SyscallName(call.Nr), tid, err)
		return ret
	}
	s.asked(t, call, ret)
	v := kernel.Verdict{Kind: kernel.Observe, Result: res}
	c := callOf(call)
	if changesLimits(call.Nr) && res.Refusal != nil {
		v.Kind, ret = kernel.Refuse, res.Value() // it raised limits: see setBack
	} else if len(s.held) > 0 && changesLimits(call.Nr) && ret == 0 && s.hold(tid, call) {
		ret = -int64(unix.EPERM)
	}
	s.record(t, &c, &v)
	if drift != nil {
		s.drifted(t, drift)
	}
	s.protect(t, res)
	if s.verify == policy.VerifyEvery {
		s.check(t)
	}
	if s.failed != nil {
		s.engine.Kill()
	}
	return ret
}
