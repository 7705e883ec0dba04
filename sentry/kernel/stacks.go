package kernel

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// Stacks grow by page faults, which make no call. How far they have come is looked at only where a
// decision could depend on it: where a call names an address that a stack may have reached, where
// limits are near, and where something is placed below a stack.

// needsStacks reports whether the answer to c, which names the range r, may depend on how far stacks
// have grown.
func (k *Kernel) needsStacks(t *Task, c *Call, r hostarch.AddrRange) bool {
	s := t.space
	if s.hidden {
		return false
	}
	a := &c.Args
	var to hostarch.AddrRange
	switch c.Nr {
	case linux.SYS_BRK: // a stack right above the break keeps it down
		r = hostarch.Range(hostarch.Addr(a[0]).RoundDown(), 2*hostarch.PageSize)
	case linux.SYS_MREMAP:
		if a[3]&linux.MREMAP_FIXED != 0 {
			r, to = hostarch.Range(hostarch.Addr(a[0]), a[1]), hostarch.Range(hostarch.Addr(a[4]), a[2])
		}
	case linux.SYS_MLOCKALL: // all that there is
		return true
	}
	return k.whateverStacks(t, func(g mm.Caller) bool {
		return r.End >= r.Start && s.mm.NeedsStack(r, &g) || to.End > to.Start && s.mm.NeedsStack(to, &g)
	})
}

// whateverStacks reports whether reached holds for a stack that has grown as far as it may. Most often it
// does not hold for any stack, so that nobody need look at what RLIMIT_STACK is by now.
func (k *Kernel) whateverStacks(t *Task, reached func(mm.Caller) bool) bool {
	s, g := t.space, t.Group.caller
	g.Limits.Stack = linux.RLIM_INFINITY
	if !reached(g) {
		return false
	}
	// With a ledger the limit is the model's own.
	if k.ledger == nil && k.readLimit(t, limits.Stack) != nil {
		return true // it is ending, which the look at its stacks will tell
	}
	// What grew while a limit was higher has not shrunk.
	s.stackLimit = max(s.stackLimit, t.Group.caller.Limits.Stack)
	g.Limits.Stack = s.stackLimit
	return reached(g)
}

// belowStack reports whether the call c of t placed a mapping at res.Addr where a stack may have been
// in the way.
func (k *Kernel) belowStack(t *Task, c *Call, res mm.Result) bool {
	s := t.space
	if s.hidden || res.Errno != 0 || res.Unsure {
		return false
	}
	switch c.Nr {
	case linux.SYS_MMAP, linux.SYS_MREMAP, linux.SYS_SHMAT, linux.SYS_IO_SETUP:
		r, _, ok := s.mm.Find(res.Addr)
		return ok && k.whateverStacks(t, func(g mm.Caller) bool { return s.mm.StackMayReach(r.End, &g) })
	}
	return false
}

// followStacks takes over how far stacks have grown, and what they cost.
func (k *Kernel) followStacks(t *Task) error {
	if err := k.lookAtStacks(t); err != nil {
		return err
	}
	k.recount(t.space)
	return nil
}

// lookAtStacks takes over how far stacks have grown.
func (k *Kernel) lookAtStacks(t *Task) error {
	entries, err := k.maps(t)
	if entries == nil {
		return err
	}
	s := t.space
	s.stackLimit = t.Group.caller.Limits.Stack
	for i := range entries {
		e := &entries[i]
		r, v, ok := s.mm.Find(e.Range.End - 1)
		if ok && v.Flags&mm.VM_GROWSDOWN != 0 && r.End == e.Range.End && e.Range.Start < r.Start {
			s.mm.ExpandStack(r.Start, e.Range.Start)
		}
	}
	return nil
}

// StackFault returns which limit kept a stack from growing down to addr, where task t has faulted and
// nothing is mapped; nil when it is no stack that is missing there, or none kept it from growing.
func (k *Kernel) StackFault(t *Task, addr hostarch.Addr) (*limits.Refusal, error) {
	s := t.space
	if s.hidden || !s.mm.StackAbove(addr) {
		return nil, nil
	}
	if err := k.readLimits(t); err != nil {
		return nil, err
	}
	if err := k.followStacks(t); err != nil || s.hidden {
		return nil, err
	}
	before := s.mm.Snapshot()
	defer s.mm.Restore(before)
	return s.mm.Fault(&t.Group.caller, addr, true).Refusal, nil
}
