package kernel

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

const (
	stackEnd = 0x7ffffffff000
	ownLimit = 8 << 20 // RLIMIT_STACK, of the program's own
)

// bootRoomy is a task whose stack may grow to ownLimit, in a ledger with so many free pages besides.
func bootRoomy(t *testing.T, free uint64) (*Kernel, *Task, *fakeHost) {
	t.Helper()
	_, task, _ := boot(t)
	h := &fakeHost{maps: map[int]string{}, gone: map[int]bool{}, left: map[int]bool{}}
	k := New(testConfig(), h)
	k.SetLedger(limits.Ledger{Limit: committed(task.MM()) + (ownLimit-stackSize)/pg + free})
	k.Start(100)
	task, why, err := k.Exec(100, 100)
	if err != nil || why != nil {
		t.Fatal(err, why)
	}
	if got := left(t, k); got != free || len(h.stackLimits) != 0 {
		t.Fatalf("%d pages are left, want %d; limits set: %v", got, free, h.stackLimits)
	}
	return k, task, h
}

// grow is a fault of task's at depth bytes below the end of its stack.
func grow(t *testing.T, k *Kernel, task *Task, depth uint64) (again bool, why *limits.Refusal) {
	t.Helper()
	again, why, _, err := k.GrowStack(task, hostarch.Addr(stackEnd-depth))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.CheckLedger(); err != nil {
		t.Error(err)
	}
	return again, why
}

// TestRoomIsGivenUp: when memory is short, a stack's room is made small, and the program still believes
// in its own limit.
func TestRoomIsGivenUp(t *testing.T) {
	k, task, h := bootRoomy(t, 10)
	if errno := do(t, k, task, anon(area, 11, rwProt, private)); errno != 0 {
		t.Fatal(errno)
	}
	if got := h.stackLimits[100]; got != stackSize+leastRoom {
		t.Errorf("the host's limit is %d", got)
	}
	if got, want := left(t, k), uint64(10-11+(ownLimit-stackSize-leastRoom)/pg); got != want {
		t.Errorf("%d pages are left, want %d", got, want)
	}
	if soft, lowered := k.OldStackLimit(task, &Call{Nr: linux.SYS_GETRLIMIT, Args: [6]uint64{3}}); soft != ownLimit || !lowered {
		t.Errorf("the program is told %d, %v", soft, lowered)
	}
	if errno := do(t, k, task, anon(area, left(t, k)+12, rwProt, private)); errno != linux.ENOMEM {
		t.Errorf("more than there is: %v", errno)
	}
}

// TestGrowth: a fault below a lowered limit makes the stack grow while there is memory, and not beyond
// the program's own limit.
func TestGrowth(t *testing.T) {
	k, task, h := bootRoomy(t, 10)
	if again, why := grow(t, k, task, 1<<20); again || why != nil {
		t.Errorf("it is not for us to say while the limit is its own: %v, %v", again, why)
	}
	do(t, k, task, anon(area, 11, rwProt, private)) // makes the room small
	before := left(t, k)
	if again, why := grow(t, k, task, 1<<20); !again || why != nil || h.stackLimits[100] != 1<<20+leastRoom {
		t.Errorf("%v, %v, limit %d", again, why, h.stackLimits[100])
	}
	if got, want := left(t, k), uint64(before-(1<<20-stackSize)/pg); got != want {
		t.Errorf("%d pages are left, want %d", got, want)
	}
	if again, _ := grow(t, k, task, ownLimit+pg); again {
		t.Error("it grew beyond the program's own limit")
	}
	do(t, k, task, anon(area+100*pg, left(t, k), rwProt, private))
	again, why := grow(t, k, task, 2<<20)
	if again || why == nil || why.Resource != limits.Commit {
		t.Errorf("with nothing left: %v, %v", again, why)
	}
	if again, _ := grow(t, k, task, 1<<20+leastRoom-pg); !again {
		t.Error("it does not grow in the room that it has")
	}
	if again, _ := grow(t, k, task, 1<<20+leastRoom-pg); again {
		t.Error("it tries for ever what the kernel refuses")
	}
}

// TestExecByOwnLimit: an exec is made under the program's own limit, and a failed one leaves it low.
func TestExecByOwnLimit(t *testing.T) {
	k, task, h := bootRoomy(t, 10)
	if restored, err := k.BeginExec(task); restored || err != nil {
		t.Errorf("nothing was lowered: %v, %v", restored, err)
	}
	do(t, k, task, anon(area, 11, rwProt, private))
	for _, fails := range []bool{true, false} {
		if restored, err := k.BeginExec(task); !restored || err != nil || h.stackLimits[100] != ownLimit {
			t.Errorf("%v, %v, limit %d", restored, err, h.stackLimits[100])
		}
		if !fails {
			if _, why, err := k.Exec(100, 100); why != nil || err != nil {
				t.Fatal(why, err)
			}
		}
		if err := k.EndExec(task); err != nil {
			t.Fatal(err)
		}
		want := uint64(stackSize + leastRoom)
		if !fails {
			want = ownLimit // there is enough again
		}
		if got := h.stackLimits[100]; got != want {
			t.Errorf("fails %v: the host's limit is %d, want %d", fails, got, want)
		}
		left(t, k)
	}
}

// TestLimitIsSet: a program that sets its limit gets what room there is for it.
func TestLimitIsSet(t *testing.T) {
	k, task, h := bootRoomy(t, 10)
	set := call(linux.SYS_SETRLIMIT, 3, 0x1000)
	decide(t, k, task, set)
	h.stackLimits = map[int]uint64{100: 1 << 20}
	if _, _, err := k.Complete(task, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := left(t, k), uint64(10+(ownLimit-1<<20)/pg); got != want {
		t.Errorf("%d pages are left under a lower limit, want %d", got, want)
	}
	do(t, k, task, anon(area, left(t, k), rwProt, private))
	decide(t, k, task, set)
	h.stackLimits[100] = 64 << 20
	if _, _, err := k.Complete(task, 0); err != nil {
		t.Fatal(err)
	}
	if got := h.stackLimits[100]; got != 1<<20 || left(t, k) != 0 {
		t.Errorf("a limit for which there is no memory: the host has %d, %d pages are left", got, left(t, k))
	}
	if soft, lowered := k.OldStackLimit(task, &Call{Nr: linux.SYS_GETRLIMIT, Args: [6]uint64{3}}); soft != 64<<20 || !lowered {
		t.Errorf("the program is told %d, %v", soft, lowered)
	}
}
