package kernel

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Stacks grow by page faults, which nobody is asked about. So that what is committed never exceeds the
// ledger's limit, how far they may grow is charged before they do: their room, which the host's
// RLIMIT_STACK bounds. As long as there is enough, that limit is the program's own. When memory is short,
// all rooms are made small by lowering it; a stack that then needs more faults, and gets it, unless
// there is none:
//
//	            room, charged beforehand
//	           |- - - - - - - -|
//	           end-RLIMIT_STACK   start            end
//	           |                  [===== stack =====)
//
// The program is told its own limit, not the lowered one.

// leastRoom is what a stack keeps when memory is short, in bytes: the kernel itself may write so far
// below its start, and its faults cannot be answered by growing.
const leastRoom = 256 << 10

// mostRoom is what a stack without a limit, or with a large one, gets at once, in bytes.
const mostRoom = 8 << 20

// costOf returns what s costs, in pages: what is there, and how far its stacks may grow.
func (k *Kernel) costOf(s *space) uint64 { return committed(s.mm) + s.mm.StackRoom(s.stackMax) }

// setStackMax has the host let stacks of s grow to max bytes at most.
func (k *Kernel) setStackMax(s *space, max uint64) error {
	seen := make(map[*ThreadGroup]bool)
	for _, t := range k.tasks {
		g := t.Group
		if t.space != s || seen[g] {
			continue
		}
		seen[g] = true
		own := g.caller.Limits.Stack
		if g.clamped {
			own = g.stackLimit
		}
		if err := k.host.SetStackLimit(t, min(max, own)); err != nil {
			return err
		}
		g.clamped = max < own
		g.clamp, g.stackLimit = max, own
	}
	s.stackMax = max
	return nil
}

// squeeze makes the room of s small, and reports whether that has given anything back.
func (k *Kernel) squeeze(s *space, t *Task) bool {
	size, n := s.mm.LargestStack()
	max := size + leastRoom/uint64(max(n, 1))
	if s.vacated || max >= s.stackMax {
		return false
	}
	before := s.cost
	if k.setStackMax(s, max) != nil {
		return false // it is ending
	}
	k.followStacks(t) // it may have grown until just now; an error says that it is ending
	k.recount(s)
	return s.cost < before
}

// boundStacks charges the room that a limit gives which the program, or somebody else, has set; where
// that is not to be had, the limit is lowered at once.
func (k *Kernel) boundStacks(t *Task) error {
	s, g := t.space, t.Group
	if k.ledger == nil || g.clamped || s.vacated || s.hidden || g.caller.Limits.Stack == s.stackMax {
		return nil
	}
	max := k.stackBound(s, g.caller.Limits.Stack)
	more := s.mm.StackRoom(max) - min(s.mm.StackRoom(max), s.mm.StackRoom(s.stackMax))
	if why, _ := k.commit(t, more); why != nil {
		max, more = s.stackMax, 0
	}
	s.cost += more
	if err := k.setStackMax(s, max); err != nil {
		k.recount(s)
		return err
	}
	// They may have grown by the room that they had, which is less now, and while the limit was higher.
	return k.chargeStacks(t, nil)
}

// Overdrawn is a process that has to be killed: its stacks have grown by more than there is, while the
// host had a higher RLIMIT_STACK than they are charged by.
type Overdrawn struct {
	TID int
	Why *limits.Refusal
}

// TakeOverdrawn returns the processes that are to be killed since the last time.
func (k *Kernel) TakeOverdrawn() []Overdrawn {
	o := k.overdrawn
	k.overdrawn = nil
	return o
}

// chargeStacks takes over how far the stacks of t's address space have grown, and charges what they had no
// room for. Where that is not to be had, nobody goes on with it; gone has left it.
func (k *Kernel) chargeStacks(t, gone *Task) error {
	s := t.space
	if err := k.lookAtStacks(t); err != nil {
		return err
	}
	if cost := k.costOf(s); cost > s.cost {
		why, _ := k.commit(t, cost-s.cost)
		if why == nil {
			s.cost = cost
			return nil
		}
		seen := make(map[*ThreadGroup]bool)
		for _, o := range k.tasks {
			if o.space == s && o != gone && !seen[o.Group] {
				seen[o.Group] = true
				k.overdrawn = append(k.overdrawn, Overdrawn{o.TID, why})
			}
		}
	}
	k.recount(s)
	return nil
}

// stackBound returns the limit that a new image's stack begins with: the program's own, unless that is
// very large.
func (k *Kernel) stackBound(s *space, own uint64) uint64 {
	size, _ := s.mm.LargestStack()
	return min(own, size+mostRoom)
}

// GrowStack is asked about a fault of t at addr, where nothing is mapped. It reports whether a stack may
// now grow down to there, which the lowered limit had kept it from, so that the access is to be made
// again; if memory is short, why it may not.
func (k *Kernel) GrowStack(t *Task, addr hostarch.Addr) (again bool, why *limits.Refusal, busy *Task, err error) {
	s, g := t.space, t.Group
	if k.ledger == nil || !g.clamped || s.hidden || !s.mm.StackAbove(addr) {
		return false, nil, nil, nil
	}
	if err := k.readLimits(t); err != nil {
		return false, nil, nil, err
	}
	if err := k.followStacks(t); err != nil {
		return false, nil, nil, err
	}
	before := s.mm.Snapshot()
	res := s.mm.Fault(&g.caller, addr.RoundDown(), true)
	r, _, _ := s.mm.Find(addr)
	s.mm.Restore(before)
	if res.Signal == linux.SIGSEGV || !g.clamped {
		return false, nil, nil, nil // it may not for another reason
	}
	need := r.Length()
	if need <= s.stackMax {
		// Another thread has asked for it just now; or the kernel has a reason that is not known here, which
		// it gives again.
		page := addr.RoundDown()
		again, t.lastFault = t.lastFault != page, page
		return again, nil, nil, nil
	}
	for _, max := range [...]uint64{min(need+leastRoom, g.stackLimit), need} {
		more := s.mm.StackRoom(max) - s.mm.StackRoom(s.stackMax)
		why, busy = k.commit(t, more)
		switch {
		case busy != nil:
			return true, nil, busy, nil // it faults again until that call is over
		case why != nil:
			continue
		}
		if err := k.setStackMax(s, max); err != nil {
			k.ledger.Uncharge(more)
			return false, nil, nil, err
		}
		s.cost += more
		return true, nil, nil, nil
	}
	return false, why, nil, nil
}

// BeginExec has the host have the program's own RLIMIT_STACK, by which exec lays out the new image and
// bounds its arguments; restored says that it had another, and that EndExec is to be told the end.
// Where other threads could use that to grow their stack, it stays low.
func (k *Kernel) BeginExec(t *Task) (restored bool, err error) {
	g := t.Group
	if !g.clamped || g.tasks > 1 {
		return false, nil
	}
	g.clamped, t.stretches = false, true
	return true, k.host.SetStackLimit(t, g.stackLimit)
}

// EndExec records that t's exec has returned. If it has failed, the stack may have grown to where the
// arguments were said to be.
func (k *Kernel) EndExec(t *Task) error {
	if k.ledger == nil || !t.stretches || t.space.vacated {
		return nil
	}
	t.stretches = false
	if err := k.setStackMax(t.space, t.space.stackMax); err != nil {
		return err
	}
	return k.chargeStacks(t, nil)
}

// endStretch is told that t has left its address space in an exec, or ended in one: while the kernel reads
// the arguments, a stack grows to wherever they are said to be, and others may go on with it.
func (k *Kernel) endStretch(t *Task) {
	if !t.stretches {
		return
	}
	t.stretches = false
	for _, o := range k.tasks {
		if o != t && o.space == t.space && k.chargeStacks(o, t) == nil {
			return // any other is ending
		}
	}
}

// imageStackLimit returns the RLIMIT_STACK, in bytes, by which t's exec was made.
func (t *Task) imageStackLimit() uint64 {
	if t.Group.clamped {
		return t.Group.clamp
	}
	return t.Group.caller.Limits.Stack
}

// OldStackLimit returns the soft RLIMIT_STACK, in bytes, that t's getrlimit or prlimit64 of its own
// process is to find, where the host has another.
func (k *Kernel) OldStackLimit(t *Task, c *Call) (soft uint64, lowered bool) {
	const rlimitStack = 3
	switch {
	case c.Nr == linux.SYS_GETRLIMIT && uint32(c.Args[0]) == rlimitStack:
		return t.Group.stackLimit, t.Group.clamped
	case c.Nr == linux.SYS_PRLIMIT64 && uint32(c.Args[1]) == rlimitStack && (int32(c.Args[0]) == 0 || int(int32(c.Args[0])) == t.Group.TGID):
		return t.call.stackLimit, t.call.clamped
	}
	return 0, false
}
