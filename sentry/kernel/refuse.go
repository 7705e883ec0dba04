package kernel

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/wx"
)

// limited reports whether the sandbox has limits that the host does not enforce.
func (k *Kernel) limited() bool { return k.ownMapCount || k.ledger != nil }

// refusal returns why a limit of the sandbox's own, which the host knows nothing of, refuses the
// call; nil when none does. res is what the manager decided. Such a call is not run at all, so that
// it changes nothing, where the kernel would have left the VMAs split or changed up to there.
func (k *Kernel) refusal(s *space, c *Call, ext extent, res mm.Result) *limits.Refusal {
	if !k.ownMapCount || s.hidden {
		return nil
	}
	if why := res.Refusal; why != nil && why.Resource == limits.MapCount {
		return why
	}
	if !res.Unsure {
		return nil
	}
	// The manager left it to the host, whose limit is another.
	return k.unsureMapCount(s, c, ext)
}

// refuse is the answer to t's call, which why refuses: nothing has happened.
func (k *Kernel) refuse(t *Task, why *limits.Refusal) Verdict {
	m := t.space.mm
	t.undo()
	res := mm.Result{Errno: why.Errno, Refusal: why}
	if t.call.call.Nr == linux.SYS_BRK {
		res = mm.Result{Addr: m.BrkRange().End, Refusal: why} // the old break, and no errno
	}
	return Verdict{Kind: Refuse, Result: res}
}

// failsUnrun reports whether t's call, whose outcome by the model is res, is answered with what it returns
// instead of being run, since the model says that it fails. So it was judged, and charged, by what it does:
// nothing. Whether it fails can depend on what others change before the kernel looks, limits above all:
//
//	process 1:  mmap(R W X) ── RLIMIT_AS: ENOMEM ──────────────────────── the kernel's own look: granted
//	process 2:                                 prlimit(process 1, RLIMIT_AS)
//
// That matters where it is to make memory executable, and where memory is counted.
func (k *Kernel) failsUnrun(t *Task, res mm.Result) (failed mm.Result, ok bool) {
	s, c := t.space, &t.call.call
	if res.Refusal != nil && k.ledger != nil {
		switch c.Nr {
		case linux.SYS_MMAP, linux.SYS_MREMAP, linux.SYS_BRK, linux.SYS_MPROTECT, linux.SYS_PKEY_MPROTECT:
			return res, true
		}
	}
	if k.wx != wx.Deny || s.trusted || !t.asksExec(c) {
		return mm.Result{}, false
	}
	if res.Unsure && c.Nr == linux.SYS_PKEY_MPROTECT { // only the key is the host's to say
		before := s.mm.Snapshot()
		res = s.mm.MProtect(&t.Group.caller, hostarch.Addr(c.Args[0]), c.Args[1], c.Args[2], -1)
		s.mm.Restore(before)
	}
	return res, res.Errno != 0
}

// unsureMapCount looks at calls that only the host decides: whether they could be granted is for the
// host to say, but not whether there is room for the VMAs that they would make.
func (k *Kernel) unsureMapCount(s *space, c *Call, ext extent) *limits.Refusal {
	switch c.Nr {
	case linux.SYS_PKEY_MPROTECT, linux.SYS_MBIND, linux.SYS_SET_MEMPOLICY_HOME_NODE, linux.SYS_PRCTL:
		if ext.all {
			return nil
		}
		return s.mm.SplitRefusal(ext.AddrRange)
	case linux.SYS_IO_SETUP:
		return s.mm.MapRefusal()
	}
	return nil
}
