package kernel

import (
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// Raised is a task whose hard limits a call has raised above the sandbox's own, which the host allowed
// since the caller had CAP_SYS_RESOURCE. They are to be set back before the caller goes on.
type Raised struct {
	TID    int
	Before limits.Rlimits
}

// SetHardLimits lets no task raise its hard limits above those of max, whatever its privileges. It is
// called before the first task.
func (k *Kernel) SetHardLimits(max limits.Rlimits) { k.hard = &max }

// TakeRaised returns the tasks whose limits have been raised since the last time.
func (k *Kernel) TakeRaised() []Raised {
	r := k.raised
	k.raised = nil
	return r
}

// changesLimits reports whether the call can set limits: setrlimit those of its own process,
// prlimit64 (others) those of another as well. A program in a pid namespace of its own has other names
// for processes than we do, so that then it may be any.
func changesLimits(c *Call) (own, others bool) {
	switch c.Nr {
	case linux.SYS_SETRLIMIT:
		return true, false
	case linux.SYS_PRLIMIT64:
		set := c.Args[2] != 0
		return set, set && int32(c.Args[0]) != 0
	}
	return false, false
}

// adoptLimits reads the limits again after a call that may have changed them, its own or those of
// another process. It returns the refusal of one that raised them above the sandbox's own.
//
// Such a call cannot be refused before it runs: what it asks for is in memory, where another thread
// may change it after the look at it. So the host decides it, and what is too much is taken back
// before the caller goes on. No other call of its address space is decided in between.
func (k *Kernel) adoptLimits(t *Task, got mm.Result) (*limits.Refusal, error) {
	own, others := changesLimits(&t.call.call)
	if got.Errno != 0 || !own {
		return nil, nil
	}
	if others {
		return k.adoptAllLimits(t)
	}
	return k.adoptLimitsOf(t)
}

// adoptAllLimits is adoptLimits for a call that may have named any process.
func (k *Kernel) adoptAllLimits(t *Task) (why *limits.Refusal, err error) {
	seen := map[*ThreadGroup]bool{}
	for _, o := range k.tasks {
		if seen[o.Group] {
			continue
		}
		refused, failed := k.adoptLimitsOf(o)
		switch {
		case failed == nil:
			seen[o.Group] = true
		case o == t:
			err = failed
		} // any other is ending, or its own next call will say
		if refused != nil {
			why = refused
		}
	}
	return why, err
}

func (k *Kernel) adoptLimitsOf(t *Task) (*limits.Refusal, error) {
	before := t.Group.caller.Limits
	if err := k.readLimits(t); err != nil || k.hard == nil {
		return nil, err
	}
	why := above(&before, &t.Group.caller.Limits, k.hard)
	if why != nil {
		t.Group.caller.Limits = before
		k.raised = append(k.raised, Raised{TID: t.TID, Before: before})
	}
	return why, nil
}

// above returns which hard limit was raised above max, nil when none was.
func above(before, now, max *limits.Rlimits) *limits.Refusal {
	for _, x := range [...]struct {
		resource         limits.Resource
		before, now, max uint64
	}{
		{limits.AS, before.ASMax, now.ASMax, max.ASMax},
		{limits.Data, before.DataMax, now.DataMax, max.DataMax},
		{limits.Stack, before.StackMax, now.StackMax, max.StackMax},
		{limits.MemLock, before.MemLockMax, now.MemLockMax, max.MemLockMax},
	} {
		// Somebody else may have raised it before, and may do so.
		if x.now > x.max && x.now > x.before {
			return &limits.Refusal{Resource: x.resource, Used: x.before, Wanted: x.now - x.before, Limit: x.max, Errno: linux.EPERM}
		}
	}
	return nil
}

// noteLimits reads, before a call that may raise limits, what they are to be set back to.
func (k *Kernel) noteLimits(t *Task, c *Call) error {
	own, others := changesLimits(c)
	if k.hard == nil || !own {
		return nil
	}
	if others {
		for _, o := range k.tasks {
			if o != t {
				k.readLimits(o) // fails where it is ending
			}
		}
	}
	return k.readLimits(t)
}

// unfinishedLimits looks at what a call has raised whose caller is killed before its end is seen.
func (k *Kernel) unfinishedLimits(t *Task) {
	if _, others := changesLimits(&t.call.call); others && k.hard != nil && t.space.pending == t {
		k.adoptAllLimits(t)
	}
}

// readLimits looks at the limits as they now are.
func (k *Kernel) readLimits(t *Task) error {
	for _, r := range limits.PerProcess() {
		if err := k.readLimit(t, r); err != nil {
			return err
		}
	}
	return k.boundStacks(t)
}

// readLimit looks at the limit of one resource.
func (k *Kernel) readLimit(t *Task, r limits.Resource) error {
	soft, hard, err := k.host.Limit(t, r)
	if err != nil {
		return err
	}
	if g := t.Group; r == limits.Stack && g.clamped {
		if soft == g.clamp {
			soft = g.stackLimit
		} else {
			g.clamped = false // somebody has set it
		}
	}
	t.Group.caller.Limits.Set(r, soft, hard)
	return nil
}
