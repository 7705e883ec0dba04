package kernel

import (
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
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
	m.Restore(t.call.undo)
	res := mm.Result{Errno: why.Errno, Refusal: why}
	if t.call.call.Nr == linux.SYS_BRK {
		res = mm.Result{Addr: m.BrkRange().End, Refusal: why} // the old break, and no errno
	}
	return Verdict{Kind: Refuse, Result: res}
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
