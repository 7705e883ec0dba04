package kernel

// Several threads in one address space: whose call waits for whose.

import (
	"slices"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
)

// A thread's munmap has been decided but may not have run. Another thread must not be given the
// range before it has: a late munmap would destroy the new mapping.
func TestChosenRangeInFlight(t *testing.T) {
	k, one, _ := boot(t)
	decide(t, k, one, mmapCall(0x1000))
	if _, _, err := k.Complete(one, top-0x1000); err != nil {
		t.Fatal(err)
	}
	two := clone(t, k, one, 101, threadFlags)
	if v := decide(t, k, one, munmapCall(top-0x1000, 0x1000)); v.Kind != Run {
		t.Fatalf("munmap: %+v", v)
	}
	v := decide(t, k, two, mmapCall(0x1000))
	if v.Kind != Wait || v.WaitFor != 100 {
		t.Fatalf("mmap while munmap is in flight: %+v", v)
	}
	if w := k.TakeWakeups(); len(w) != 0 {
		t.Fatalf("woken too early: %v", w)
	}
	k.Settle(one)
	if w := k.TakeWakeups(); !slices.Equal(w, []int{101}) {
		t.Fatalf("woken: %v", w)
	}
	if v := decide(t, k, two, mmapCall(0x1000)); v.Kind != Observe || v.Result.Addr != top-0x1000 {
		t.Errorf("mmap afterwards: %+v", v)
	}
}

// An mmap that nobody observes ends when its task is seen again. Until then no other thread's call may change
// what the kernel chooses from.
func TestUnobservedMmap(t *testing.T) {
	mmap := mmapCall(0x1000)
	mmap.Observable = false
	k, one, _ := boot(t)
	for i := range uint64(3) { // alone, its own next call shows it
		if v := decide(t, k, one, mmap); v.Kind != Run || v.Result.Addr != hostarch.Addr(top-0x1000*(i+1)) {
			t.Fatalf("%+v", v)
		}
	}
	two := clone(t, k, one, 101, threadFlags)
	decide(t, k, one, mmap)
	far := munmapCall(0x10000000, 0x1000)
	if v := decide(t, k, two, far); v.Kind != Wait || v.WaitFor != 100 {
		t.Fatalf("munmap while mmap is in flight: %+v", v)
	}
	k.Settle(one)
	if w := k.TakeWakeups(); !slices.Equal(w, []int{101}) {
		t.Fatalf("woken: %v", w)
	}
	if v := decide(t, k, two, far); v.Kind != Run {
		t.Fatalf("munmap afterwards: %+v", v)
	}
}

// The search for a place for huge pages is for more than what is mapped, and so may depend on a munmap
// elsewhere.
func TestHugeMmapWaits(t *testing.T) {
	k, one, _ := boot(t)
	two := clone(t, k, one, 101, threadFlags)
	decide(t, k, one, munmapCall(0x10000000, 0x1000))
	if v := decide(t, k, two, mmapCall(hostarch.HugePageSize)); v.Kind != Wait || v.WaitFor != 100 {
		t.Fatalf("%+v", v)
	}
	if v := decide(t, k, two, mmapCall(0x1000)); v.Kind != Observe {
		t.Fatalf("%+v", v)
	}
}

func TestDistantCallsDoNotWait(t *testing.T) {
	k, one, _ := boot(t)
	two := clone(t, k, one, 101, threadFlags)
	decide(t, k, one, munmapCall(0x10000000, 0x1000))
	for name, tc := range map[string]struct {
		addr uint64
		want VerdictKind
	}{
		"neighbour below": {0x0fff_f000, Wait},
		"same":            {0x10000000, Wait},
		"neighbour above": {0x10001000, Wait},
		"one page away":   {0x10002000, Run},
	} {
		t.Run(name, func(t *testing.T) {
			if v := decide(t, k, two, munmapCall(tc.addr, 0x1000)); v.Kind != tc.want {
				t.Errorf("%+v", v)
			}
			k.Settle(two)
		})
	}
}

func TestObservedCallExcludesOthers(t *testing.T) {
	k, one, _ := boot(t)
	two := clone(t, k, one, 101, threadFlags)
	decide(t, k, one, mmapCall(0x1000))
	if v := decide(t, k, two, munmapCall(0x10000000, 0x1000)); v.Kind != Wait || v.WaitFor != 0 {
		t.Fatalf("%+v", v)
	}
	if _, _, err := k.Complete(one, top-0x1000); err != nil {
		t.Fatal(err)
	}
	if w := k.TakeWakeups(); !slices.Equal(w, []int{101}) {
		t.Errorf("woken: %v", w)
	}
}

func TestDeathEndsWaiting(t *testing.T) {
	k, one, _ := boot(t)
	two := clone(t, k, one, 101, threadFlags)
	decide(t, k, one, mmapCall(0x1000))
	decide(t, k, two, munmapCall(0x10000000, 0x1000))
	k.Exit(one)
	if w := k.TakeWakeups(); !slices.Equal(w, []int{101}) {
		t.Errorf("woken: %v", w)
	}
	// Whether the dead thread's mmap took effect only the kernel's list says.
	decide(t, k, two, munmapCall(0x10000000, 0x1000))
	if _, _, ok := two.MM().Find(top - 1); ok {
		t.Error("the model still has the mapping that the kernel does not")
	}
}
