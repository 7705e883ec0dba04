package kernel

import (
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/wx"
)

// SetTasks lets the sandbox have no more than n tasks at a time. It is called before the first task.
func (k *Kernel) SetTasks(n uint64) { k.maxTasks = n }

// CountsClones reports whether clones are to be asked about by DecideClone.
func (k *Kernel) CountsClones() bool {
	return k.ledger != nil || k.maxTasks != 0 || k.wx == wx.Deny
}

// DecideClone decides whether t may make another task with these clone flags (kernel_clone's
// RLIMIT_NPROC, dup_mmap's accounting): Observe, Refuse or Wait. The call's end is told to EndClone.
//
// Errnos: EAGAIN (too many tasks), ENOMEM (the child's copy of private memory may not be committed).
func (k *Kernel) DecideClone(t *Task, nr, flags uint64) (Verdict, error) {
	k.Settle(t)
	s := t.space
	t.handsDown = t.Group.Watched
	if why := k.tasksRefusal(); why != nil {
		return Verdict{Kind: Refuse, Result: mm.Result{Errno: why.Errno, Refusal: why}}, nil
	}
	if flags&linux.CLONE_VM != 0 || k.ledger == nil && (k.wx != wx.Deny || s.users == 1) {
		t.cloning = true
		return Verdict{Kind: Observe}, nil
	}
	// What the child gets a copy of must not change until it has: no other call is on its way. It is charged
	// for all of it; and what was written of it must not have been forgotten, as it is when something else
	// is mapped in its place.
	if s.pending != nil && s.pending != t {
		s.waiters = append(s.waiters, t.TID)
		return Verdict{Kind: Wait}, nil
	}
	if o := k.firstBusy(func() *Task { return s.other(t) }); o != nil {
		s.waiters = append(s.waiters, t.TID)
		return Verdict{Kind: Wait, WaitFor: o.TID}, nil
	}
	if s.dirty {
		if err := k.reconcile(t); err != nil {
			return Verdict{}, err
		}
	} else if k.ledger != nil {
		if err := k.followStacks(t); err != nil {
			return Verdict{}, err
		}
	}
	t.call = pending{call: Call{Nr: nr, Observable: true}, extent: extent{all: true}}
	if k.ledger == nil {
		t.cloning, s.pending = true, t
		return Verdict{Kind: Observe}, nil
	}
	cost := committed(s.mm.Fork()) + s.mm.StackRoom(s.stackMax)
	if why, busy := k.commit(t, cost); busy != nil {
		return k.waitFor(t, busy), nil
	} else if why != nil && k.squeeze(s, t) {
		return k.DecideClone(t, nr, flags)
	} else if why != nil {
		return Verdict{Kind: Refuse, Result: mm.Result{Errno: why.Errno, Refusal: why}}, nil
	}
	t.call.reserved = cost
	t.cloning = true
	s.pending = t
	return Verdict{Kind: Observe}, nil
}

// tasksRefusal returns why there may be no further task.
func (k *Kernel) tasksRefusal() *limits.Refusal {
	if k.maxTasks == 0 {
		return nil
	}
	count := func(ended func(*Task) bool) (n uint64) {
		for _, t := range k.tasks {
			if !ended(t) {
				n++
			}
			if t.cloning {
				n++
			}
		}
		return n
	}
	n := count(func(*Task) bool { return false })
	if n >= k.maxTasks {
		// Some may have ended, as the program knows, and that has not been reported yet.
		n = count(k.host.Gone)
	}
	if n < k.maxTasks {
		return nil
	}
	return &limits.Refusal{Resource: limits.Procs, Used: n, Wanted: 1, Limit: k.maxTasks, Errno: linux.EAGAIN}
}

// waitFor has t wait until the call of busy is over.
func (k *Kernel) waitFor(t, busy *Task) Verdict {
	busy.space.waiters = append(busy.space.waiters, t.TID)
	v := Verdict{Kind: Wait}
	if busy.call.inFlight {
		v.WaitFor = busy.TID
	}
	return v
}

// EndClone records that the clone of t that DecideClone has allowed is over.
func (k *Kernel) EndClone(t *Task) {
	t.cloning = false
	if s := t.space; s.pending == t {
		s.pending = nil
		k.settle(t)
		k.wakeAll(s)
	}
}
