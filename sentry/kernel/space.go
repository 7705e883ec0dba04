package kernel

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/wx"
)

// space is an address space and the order of the calls on it.
//
// A call that was allowed to run is in flight until its task is seen again: the supervisor is not
// told when it ends. With one task per address space that never matters, since the task's next
// call proves that the last one is over. With several, the model must not run ahead of the
// kernel:
//
//	thread 1:  munmap [a,b) ── decided ── (not executed yet) ───────────────► destroys it
//	thread 2:                              mmap ── decided: [a,b) is free ── installed
//
// So a call waits while another task's call on the same or a neighbouring range is in flight
// (neighbouring, because merging looks at neighbours), and while another task's call whose outcome
// is to be observed is not complete.
type space struct {
	mm *mm.MemoryManager
	bill
	users   int     // tasks that share it
	leaving int     // of these, tasks that are about to end
	flights []*Task // tasks whose call runs unobserved
	pending *Task   // the one task whose call's outcome will be observed
	waiters []int   // tasks that wait for any of these to end
	rewrite bool    // the manager's own choice of address differs from the kernel's
	hidden  bool    // it cannot be looked at (ErrHidden): its calls run as they are
	// policies were set while other calls were on their way; they are known to the model when it is
	// not dirty any more.
	policies []policyRange
	// stackLimit is the highest RLIMIT_STACK, in bytes, under which stacks may have grown unseen.
	stackLimit uint64
	history    wx.History
	trusted    bool // it may execute what it has written (W^X)
	dirty      bool // a call ended in a way that the model cannot know: adopt the kernel's list
}

// policyRange is a range that got a NUMA policy, or lost it (none), or whose policies got a home node.
type policyRange struct {
	addr       hostarch.Addr
	length     uint64
	none, home bool
}

// pending is what is remembered of a call from Decide to its end.
type pending struct {
	call Call
	debt
	inFlight bool
	extent   extent
	result   mm.Result
	undo     mm.Snapshot
	undoable bool // undo was taken
	mmap     mm.MMapArgs
	segment  *mm.File
	unseen   bool // whether the segment is one of huge pages only shows once it is attached
	advised  []hostarch.AddrRange
	// whether RLIMIT_STACK was lowered when it was made, and what the program knew it as
	clamped    bool
	stackLimit uint64
	// protect is the protection that an mmap is to have in the end, which is mapped without
	// PROT_EXEC at first (see Protect); 0 where that is its own.
	protect uint64
}

// undo makes t's address space what it was before the call that was just decided.
func (t *Task) undo() {
	if !t.call.undoable {
		panic("kernel: a call is to be undone, and what was before it is not known")
	}
	t.space.mm.Restore(t.call.undo)
}

// extent is what part of an address space a call can change.
type extent struct {
	hostarch.AddrRange
	all bool // everything, whatever the range
}

// touches reports whether two calls cannot be told apart from their order.
func (e extent) touches(o extent) bool {
	return e.all || o.all || e.Touches(o.AddrRange)
}

// conflict returns a task whose call in flight must end before t's call with this extent.
func (s *space) conflict(t *Task, e extent) *Task {
	for _, o := range s.flights {
		if o != t && o.call.extent.touches(e) {
			return o
		}
	}
	return nil
}

// quiet reports whether the kernel's list of mappings must equal the model while t stands still:
// no other task's call is on its way.
func (s *space) quiet(t *Task) bool {
	if s.pending != nil && s.pending != t {
		return false
	}
	return s.other(t) == nil
}

// other returns another task than t whose call is in flight.
func (s *space) other(t *Task) *Task {
	for _, o := range s.flights {
		if o != t {
			return o
		}
	}
	return nil
}

// launch marks t's call as running unobserved.
func (s *space) launch(t *Task) {
	if !t.call.inFlight {
		t.call.inFlight = true
		s.flights = append(s.flights, t)
	}
}

// land marks t's call in flight as over.
func (s *space) land(t *Task) bool {
	if !t.call.inFlight {
		return false
	}
	t.call.inFlight = false
	for i, o := range s.flights {
		if o == t {
			s.flights = append(s.flights[:i], s.flights[i+1:]...)
			break
		}
	}
	return true
}

// Settle records that the task has left the call it was in, which is known once it was seen in
// user mode, in another call, or dead.
func (k *Kernel) Settle(t *Task) {
	if t.space.land(t) {
		k.settle(t)
		k.wakeAll(t.space)
	}
	k.pass(t)
}

// wakeAll ends the wait of every task that waits for an event of s: each is decided again, and
// may wait again.
func (k *Kernel) wakeAll(s *space) {
	k.wake = append(k.wake, s.waiters...)
	s.waiters = s.waiters[:0]
}

// release takes t out of its address space.
func (k *Kernel) release(t *Task) {
	s := t.space
	if s.users > 1 && !t.Settled() {
		// It may have died in the call: whether the call took effect is only known from the host.
		s.dirty = true
	}
	s.land(t)
	k.unfinishedSegment(t)
	if s.pending == t {
		s.pending = nil
	}
	k.settle(t)
	if s.users--; s.users == 0 {
		k.vacate(s)
		t.stretches = false
	} else {
		k.endStretch(t)
	}
	if t.leaving {
		s.leaving--
		t.leaving = false
	}
	k.wakeAll(s)
	t.call = pending{}
	k.leaveTable(t)
}

// Hidden reports whether t's address space cannot be looked at, so that its calls are not decided.
func (t *Task) Hidden() bool { return t.space.hidden }

// Alone reports whether no other task shares t's address space.
func (t *Task) Alone() bool { return t.space.users == 1 }

// Siblings returns the other threads of t's process.
func (k *Kernel) Siblings(t *Task) (tids []int) {
	for _, o := range k.tasks {
		if o != t && o.Group == t.Group {
			tids = append(tids, o.TID)
		}
	}
	return tids
}

// Last reports whether no task that shares t's address space makes calls any more, but for t.
func (k *Kernel) Last(t *Task) bool {
	others := t.space.users - t.space.leaving
	if !t.leaving {
		others--
	}
	return others == 0
}

// Leave records that t is about to end and makes no more calls, and that it is in system call nr,
// or in none for -1: if that is not its last decided call, it has left that one.
func (k *Kernel) Leave(t *Task, nr int) {
	if !t.leaving {
		t.leaving = true
		t.space.leaving++
	}
	if nr < 0 || uint64(nr) != t.call.call.Nr {
		k.Settle(t)
	}
}

// Settled reports whether t's last call is known to be over, so that its effect is in the kernel's
// list of mappings.
func (t *Task) Settled() bool { return !t.call.inFlight && t.space.pending != t }
