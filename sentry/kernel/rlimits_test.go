package kernel

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// TestRaisedLimits: what a call has raised above the sandbox's own hard limits, which only a task with
// CAP_SYS_RESOURCE gets from the host, is refused and set back; everything else is as the host says.
func TestRaisedLimits(t *testing.T) {
	const ours, gib = 512 << 20, 1 << 30
	own := Call{Nr: linux.SYS_PRLIMIT64, Observable: true, Args: [6]uint64{0, 9, 0x1000, 0}}
	child := Call{Nr: linux.SYS_PRLIMIT64, Observable: true, Args: [6]uint64{200, 9, 0x1000, 0}}
	set := Call{Nr: linux.SYS_SETRLIMIT, Observable: true, Args: [6]uint64{9, 0x1000}}
	query := Call{Nr: linux.SYS_PRLIMIT64, Observable: true, Args: [6]uint64{0, 9, 0, 0x1000}}
	for _, x := range []struct {
		name   string
		call   Call
		before uint64 // the hard limits of both processes
		tid    int    // whose hard limit
		now    uint64 // is this afterwards
		ret    int64  // of the host
		refuse bool
	}{
		{name: "setrlimit", call: set, before: ours, tid: 100, now: gib, refuse: true},
		{name: "prlimit64", call: own, before: ours, tid: 100, now: gib, refuse: true},
		{name: "of a child", call: child, before: ours, tid: 200, now: gib, refuse: true},
		{name: "of another than was named", call: child, before: ours, tid: 100, now: gib, refuse: true},
		{name: "back up to ours", call: set, before: ours / 2, tid: 100, now: ours},
		{name: "down", call: set, before: ours, tid: 100, now: ours / 2},
		{name: "the host refuses", call: set, before: ours, tid: 100, now: ours, ret: -int64(linux.EPERM)},
		{name: "a question", call: query, before: ours, tid: 100, now: ours},
		{name: "raised by somebody else before", call: set, before: gib, tid: 100, now: gib},
	} {
		t.Run(x.name, func(t *testing.T) {
			max := limits.Unlimited()
			max.ASMax = ours
			hard := map[int]uint64{100: x.before, 200: x.before}
			k, task := bootWith(t, func(k *Kernel) {
				k.SetHardLimits(max)
				k.host = limitsByTask{k.host, hard}
			})
			other := clone(t, k, task, 200, 0)
			if v := decide(t, k, task, x.call); v.Kind != Observe {
				t.Fatalf("verdict %+v", v)
			}
			hard[x.tid] = x.now
			res, drift, err := k.Complete(task, x.ret)
			if err != nil || drift != nil {
				t.Fatalf("drift %v, error %v", drift, err)
			}
			raised := k.TakeRaised()
			of := map[int]*Task{100: task, 200: other}[x.tid]
			if !x.refuse {
				if len(raised) != 0 || res.Value() != x.ret || of.Group.caller.Limits.ASMax != x.now {
					t.Errorf("%+v, raised %v, known as %+v", res, raised, of.Group.caller.Limits)
				}
				return
			}
			if res.Errno != linux.EPERM || res.Refusal == nil || res.Refusal.Resource != limits.AS || res.Refusal.Limit != ours {
				t.Errorf("%+v", res)
			}
			if len(raised) != 1 || raised[0].TID != x.tid || raised[0].Before.ASMax != x.before {
				t.Errorf("raised: %+v", raised)
			}
			if of.Group.caller.Limits.ASMax != x.before {
				t.Errorf("the model believes %+v", of.Group.caller.Limits)
			}
			if len(k.TakeRaised()) != 0 {
				t.Error("they are still to be set back")
			}
		})
	}
}

// TestRaisedByTheDead: a caller that is killed before its call's end is seen has raised limits all the
// same.
func TestRaisedByTheDead(t *testing.T) {
	const ours = 512 << 20
	max := limits.Unlimited()
	max.ASMax = ours
	hard := map[int]uint64{100: ours, 200: ours}
	k, task := bootWith(t, func(k *Kernel) {
		k.SetHardLimits(max)
		k.host = limitsByTask{k.host, hard}
	})
	clone(t, k, task, 200, 0)
	decide(t, k, task, Call{Nr: linux.SYS_PRLIMIT64, Observable: true, Args: [6]uint64{200, 9, 0x1000, 0}})
	hard[200] = 2 * ours
	delete(hard, 100)
	k.Exit(task)
	if r := k.TakeRaised(); len(r) != 1 || r[0].TID != 200 || r[0].Before.ASMax != ours {
		t.Errorf("raised: %+v", r)
	}
}

// limitsByTask is a Host whose processes have hard limits of their own on address space.
type limitsByTask struct {
	Host
	hard map[int]uint64
}

func (h limitsByTask) Limit(t *Task, r limits.Resource) (soft, hard uint64, err error) {
	l := limits.Unlimited()
	var ok bool
	if l.ASMax, ok = h.hard[t.TID]; !ok {
		return 0, 0, linux.ESRCH
	}
	soft, hard = l.Of(r)
	return soft, hard, nil
}
