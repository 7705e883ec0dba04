package kernel

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

const pg = hostarch.PageSize

// bootCounted is boot with a ledger in which so many pages are free.
func bootCounted(t *testing.T, free uint64) (*Kernel, *Task, *fakeHost) {
	t.Helper()
	_, task, _ := boot(t)
	h := &fakeHost{maps: map[int]string{}, gone: map[int]bool{}, left: map[int]bool{}}
	h.limited = func(l *limits.Rlimits) { l.Stack = stackSize } // which leaves it no room
	k := New(testConfig(), h)
	k.SetLedger(limits.Ledger{Limit: committed(task.MM()) + free})
	if _, err := k.Start(100); err != nil {
		t.Fatal(err)
	}
	task, why, err := k.Exec(100, 100)
	if err != nil || why != nil {
		t.Fatal(err, why)
	}
	return k, task, h
}

// left returns the pages that are free in the ledger, whose sums are right.
func left(t *testing.T, k *Kernel) uint64 {
	t.Helper()
	if err := k.CheckLedger(); err != nil {
		t.Error(err)
	}
	used, limit := k.Budget()
	return hostarch.Pages(limit - used)
}

func anon(addr, pages, prot, flags uint64) Call {
	return call(linux.SYS_MMAP, addr, pages*pg, prot, flags|linux.MAP_ANONYMOUS, ^uint64(0), 0)
}

const (
	stackSize = 0x21000 // of image
	rwProt    = linux.PROT_READ | linux.PROT_WRITE
	private   = linux.MAP_PRIVATE | linux.MAP_FIXED
	shared    = linux.MAP_SHARED | linux.MAP_FIXED
)

// do makes a call that the kernel answers as the model does, and returns the errno.
func do(t *testing.T, k *Kernel, task *Task, c Call) linux.Errno {
	t.Helper()
	v := decide(t, k, task, c)
	switch v.Kind {
	case Observe, Rewrite:
		if _, drift, err := k.Complete(task, v.Result.Value()); drift != nil || err != nil {
			t.Fatal(drift, err)
		}
	case Run:
		k.Settle(task)
	case Wait:
		t.Fatal("it waits")
	}
	return v.Result.Errno
}

// TestCharges: what a call costs, and gives back.
func TestCharges(t *testing.T) {
	const free = 1000
	at := func(n uint64) uint64 { return area + n*pg }
	for _, x := range []struct {
		name  string
		calls []Call
		left  uint64
		errno linux.Errno // of the last
	}{
		{"private writable memory", []Call{anon(area, 10, rwProt, private)}, free - 10, 0},
		{"what cannot be written is free", []Call{anon(area, 10, 0, private), anon(at(10), 10, 1, private)}, free, 0},
		{"until it becomes writable", []Call{anon(area, 10, 0, private), call(linux.SYS_MPROTECT, at(2), 3*pg, rwProt)}, free - 3, 0},
		{"and stays charged when it is not any more", []Call{anon(area, 10, rwProt, private), call(linux.SYS_MPROTECT, area, 10*pg, 1)}, free - 10, 0},
		{"once", []Call{anon(area, 10, rwProt, private), call(linux.SYS_MPROTECT, area, 10*pg, 1), call(linux.SYS_MPROTECT, area, 10*pg, rwProt)}, free - 10, 0},
		{"not if it says so", []Call{anon(area, 10, rwProt, private|linux.MAP_NORESERVE)}, free, 0},
		{"too much", []Call{anon(area, free+1, rwProt, private)}, free, linux.ENOMEM},
		{"all that there is", []Call{anon(area, free, rwProt, private)}, 0, 0},
		{"in place of other memory", []Call{anon(area, free, rwProt, private), anon(area, free, rwProt, private)}, 0, 0},
		{"unmapping gives back", []Call{anon(area, 10, rwProt, private), call(linux.SYS_MUNMAP, at(4), 5*pg)}, free - 5, 0},
		{"growth", []Call{anon(area, 10, rwProt, private), call(linux.SYS_MREMAP, area, 10*pg, 15*pg, linux.MREMAP_MAYMOVE, 0)}, free - 15, 0},
		{"too much growth", []Call{anon(area, 10, rwProt, private), call(linux.SYS_MREMAP, area, 10*pg, (free+1)*pg, linux.MREMAP_MAYMOVE, 0)}, free - 10, linux.ENOMEM},
		{"moving over memory of one's own", []Call{anon(area, 10, rwProt, private), anon(at(20), 10, rwProt, private),
			call(linux.SYS_MREMAP, area, 10*pg, 10*pg, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, at(20))}, free - 10, 0},
		{"a shared object", []Call{anon(area, 10, 0, shared)}, free - 10, 0},
		{"of which a part is unmapped", []Call{anon(area, 10, rwProt, shared), call(linux.SYS_MUNMAP, area, 9*pg)}, free - 10, 0},
		{"and then all", []Call{anon(area, 10, rwProt, shared), call(linux.SYS_MUNMAP, area, 5*pg), call(linux.SYS_MUNMAP, at(5), 5*pg)}, free, 0},
		{"mapped twice", []Call{anon(area, 10, rwProt, shared), call(linux.SYS_MREMAP, area, 0, 10*pg, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, at(50)),
			call(linux.SYS_MUNMAP, area, 10*pg)}, free - 10, 0},
		{"mapped over", []Call{anon(area, 10, rwProt, shared), anon(area, 10, 0, private)}, free, 0},
		{"replaced by another", []Call{anon(area, 10, rwProt, shared), anon(area, 10, rwProt, shared)}, free - 10, 0},
		{"too large a shared object", []Call{anon(area, free+1, rwProt, shared)}, free, linux.ENOMEM},
		{"the heap", []Call{call(linux.SYS_BRK, 0x555555556000+7*pg)}, free - 7, 0},
		{"too much heap, which has no errno", []Call{call(linux.SYS_BRK, 0x555555556000+(free+1)*pg)}, free, 0},
		{"the heap shrinks", []Call{call(linux.SYS_BRK, 0x555555556000+7*pg), call(linux.SYS_BRK, 0x555555556000+2*pg)}, free - 2, 0},
		{"a protection key that may not be allocated", []Call{anon(area, 10, 0, private), call(linux.SYS_PKEY_MPROTECT, area, 10*pg, rwProt, ^uint64(0))}, free - 10, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			k, task, _ := bootCounted(t, free)
			var errno linux.Errno
			for _, c := range x.calls {
				if errno != 0 {
					t.Fatal(errno)
				}
				errno = do(t, k, task, c)
			}
			if errno != x.errno {
				t.Errorf("errno %v, want %v", errno, x.errno)
			}
			if got := left(t, k); got != x.left {
				t.Errorf("%d pages are left, want %d", got, x.left)
			}
			k.Exit(task)
			if used, _ := k.Budget(); used != 0 {
				t.Errorf("%d bytes are charged when all have ended", used)
			}
		})
	}
}

// TestRefusalChangesNothing: a call that the ledger refuses is not made, whatever it would have replaced,
// split or unmapped first; and one that gives back as much as it takes is not refused.
func TestRefusalChangesNothing(t *testing.T) {
	const free = 10
	move := func(from, to uint64, args ...uint64) Call {
		return call(linux.SYS_MREMAP, append([]uint64{area, from * pg, to * pg}, args...)...)
	}
	four := anon(area, 4, rwProt, private)
	for _, x := range []struct {
		name  string
		calls []Call
		errno linux.Errno // of the last
		list  string
	}{
		{"a shared object over a part", []Call{four, anon(area+2*pg, 7, rwProt, shared)}, linux.ENOMEM, "10000000-10004000 rw"},
		{"private memory over a part", []Call{four, anon(area+2*pg, 9, rwProt, private)}, linux.ENOMEM, "10000000-10004000 rw"},
		{"a part that becomes writable", []Call{anon(area, 14, 0, private), call(linux.SYS_MPROTECT, area+pg, 11*pg, rwProt)}, linux.ENOMEM, "10000000-1000e000"},
		{"a move that makes it shorter", []Call{anon(area, free, rwProt, private), move(free, 1, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, area+20*pg)}, 0, "10014000-10015000 rw"},
		{"growth where there is no room", []Call{four, anon(area+4*pg, 1, 1, private), move(4, 11, linux.MREMAP_MAYMOVE)}, linux.ENOMEM, "10000000-10004000 rw 10004000-10005000 r"},
		{"growth onto what it replaces", []Call{four, anon(area+20*pg, 6, rwProt, private), move(4, 6, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, area+20*pg)}, 0, "10014000-1001a000 rw"},
		{"a copy of more than is left", []Call{anon(area, 6, rwProt, private), move(6, 6, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED|linux.MREMAP_DONTUNMAP, area+20*pg)}, linux.ENOMEM, "10000000-10006000 rw"},
	} {
		t.Run(x.name, func(t *testing.T) {
			k, task, _ := bootCounted(t, free)
			last := len(x.calls) - 1
			for _, c := range x.calls[:last] {
				if errno := do(t, k, task, c); errno != 0 {
					t.Fatal(errno)
				}
			}
			before := left(t, k)
			errno := do(t, k, task, x.calls[last])
			if after := left(t, k); errno != x.errno || errno != 0 && after != before {
				t.Errorf("errno %v, want %v; %d pages were left before, %d after", errno, x.errno, before, after)
			}
			if got := lines(task.MM()); got != x.list {
				t.Errorf("list %q, want %q", got, x.list)
			}
		})
	}
}

// TestFailingIsNotRun: a limit of the host's may be raised between our look at it and the kernel's own. What
// it refuses is not charged, and so it is not run.
func TestFailingIsNotRun(t *testing.T) {
	for name, c := range map[string]Call{
		"mmap":     anon(0, 100, rwProt, linux.MAP_PRIVATE),
		"mprotect": call(linux.SYS_MPROTECT, area, 100*pg, rwProt),
		"mremap":   call(linux.SYS_MREMAP, area, 100*pg, 200*pg, linux.MREMAP_MAYMOVE),
		"brk":      call(linux.SYS_BRK, 0x555555580000),
	} {
		k, task, h := bootCounted(t, 1000)
		do(t, k, task, anon(area, 100, linux.PROT_READ, private))
		free, before := left(t, k), task.MM().Totals()
		h.limited = func(l *limits.Rlimits) { l.AS, l.Data, l.Stack = pg, pg, stackSize }
		if v := decide(t, k, task, c); v.Kind != Refuse || v.Result.Refusal == nil {
			t.Errorf("%s: %+v", name, v)
		}
		if left(t, k) != free || task.MM().Totals() != before {
			t.Errorf("%s: something has changed", name)
		}
	}
}

// TestForkIsCharged: with the copy of what is private, from before it is made to the end of the child.
func TestForkIsCharged(t *testing.T) {
	k, task, _ := bootCounted(t, 1000)
	image := committed(task.MM())
	do(t, k, task, anon(area, 400, rwProt, private))
	do(t, k, task, anon(area+400*pg, 100, rwProt, shared))
	fork := func() Verdict {
		v, err := k.DecideClone(task, linux.SYS_FORK, 0)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := fork(); v.Kind != Observe || left(t, k) != 500-400-image {
		t.Fatalf("%+v, %d left", v, left(t, k))
	}
	child := clone(t, k, task, 200, 0)
	k.EndClone(task)
	if got := left(t, k); got != 100-image {
		t.Errorf("%d pages are left", got)
	}
	if v := fork(); v.Kind != Refuse || v.Result.Errno != linux.ENOMEM || v.Result.Refusal.Resource != limits.Commit {
		t.Errorf("a second child: %+v", v)
	}
	if v, _ := k.DecideClone(task, linux.SYS_VFORK, linux.CLONE_VM|linux.CLONE_VFORK); v.Kind != Observe {
		t.Errorf("a vfork costs nothing: %+v", v)
	}
	k.EndClone(task)
	do(t, k, task, call(linux.SYS_MUNMAP, area+400*pg, 100*pg))
	if got := left(t, k); got != 100-image {
		t.Errorf("%d pages are left while the child has the shared object", got)
	}
	k.Exit(child)
	if got := left(t, k); got != 600 {
		t.Errorf("%d pages are left after the child's end", got)
	}
	fork()
	k.EndClone(task) // without a child
	if got := left(t, k); got != 600 {
		t.Errorf("%d pages are left after a fork that failed", got)
	}
}

// TestHeldUntilOver: what a call gives back that runs unobserved is not another's until it is over, and
// who needs it waits for that.
func TestHeldUntilOver(t *testing.T) {
	k, task, h := bootCounted(t, 1000)
	k.DecideClone(task, linux.SYS_FORK, 0)
	child := clone(t, k, task, 200, 0)
	k.EndClone(task)
	room := left(t, k)
	do(t, k, task, anon(area, room, rwProt, private))
	decide(t, k, task, munmapCall(area, room*pg)) // on its way
	if got := left(t, k); got != 0 {
		t.Errorf("%d pages are left while the call is on its way", got)
	}
	v := decide(t, k, child, anon(area, 5, rwProt, private))
	if v.Kind != Wait || v.WaitFor != task.TID {
		t.Fatalf("%+v", v)
	}
	k.Settle(task) // it was proved over
	if w := k.TakeWakeups(); len(w) != 1 || w[0] != child.TID {
		t.Errorf("woken: %v", w)
	}
	if errno := do(t, k, child, anon(area, 5, rwProt, private)); errno != 0 || left(t, k) != room-5 {
		t.Errorf("%v, %d left", errno, left(t, k))
	}
	// Where /proc shows that it is over, nobody needs to wait.
	do(t, k, task, anon(area, room-5, rwProt, private))
	decide(t, k, task, munmapCall(area, (room-5)*pg))
	h.left[task.TID] = true
	if errno := do(t, k, child, anon(area+10*pg, 5, rwProt, private)); errno != 0 || left(t, k) != room-10 {
		t.Errorf("%v, %d left", errno, left(t, k))
	}
}

// TestEndedIsFree: a process that has given up its memory costs nothing, even before its end is reported.
func TestEndedIsFree(t *testing.T) {
	k, task, h := bootCounted(t, 1000)
	k.DecideClone(task, linux.SYS_FORK, 0)
	child := clone(t, k, task, 200, 0)
	k.EndClone(task)
	do(t, k, child, anon(area, left(t, k), rwProt, private))
	if errno := do(t, k, task, anon(area, 5, rwProt, private)); errno != linux.ENOMEM {
		t.Errorf("errno %v", errno)
	}
	h.gone[200] = true
	if errno := do(t, k, task, anon(area, 5, rwProt, private)); errno != 0 || left(t, k) != 995 {
		t.Errorf("%v, %d left", errno, left(t, k))
	}
	k.Exit(child)
	if got := left(t, k); got != 995 {
		t.Errorf("%d left", got)
	}
}

// TestSegmentIsCharged: from its making to its end, whoever attaches it.
func TestSegmentIsCharged(t *testing.T) {
	k, task, h := bootCounted(t, 100)
	get := call(linux.SYS_SHMGET, 0, 50*pg-1, linux.IPC_CREAT|0o600)
	decide(t, k, task, get)
	if got := left(t, k); got != 50 {
		t.Errorf("%d left while it is made", got)
	}
	h.sysv = map[int32]SegmentInfo{7: {Size: 50*pg - 1, Creator: 100}, 8: {Size: 90 * pg, Creator: 1}}
	k.Complete(task, 7)
	if got := left(t, k); got != 50 {
		t.Errorf("%d left", got)
	}
	if v := decide(t, k, task, call(linux.SYS_SHMGET, 0, 51*pg, 0)); v.Kind != Refuse || v.Result.Errno != linux.ENOMEM {
		t.Errorf("%+v", v)
	}
	decide(t, k, task, call(linux.SYS_SHMGET, 5, 0, 0)) // one that others made
	k.Complete(task, 8)
	if got := left(t, k); got != 50 {
		t.Errorf("%d left", got)
	}
	delete(h.sysv, 7)
	if errno := do(t, k, task, anon(area, 100, rwProt, private)); errno != 0 || left(t, k) != 0 {
		t.Errorf("%v, %d left after its end", errno, left(t, k))
	}
	h.otherIPC = true
	if v := decide(t, k, task, get); v.Kind != Refuse || v.Result.Refusal.Resource != limits.Uncounted {
		t.Errorf("in another namespace: %+v", v)
	}
}

// TestImageIsRefused: an exec whose image does not fit is told, and costs nothing.
func TestImageIsRefused(t *testing.T) {
	k, task, h := bootCounted(t, 10)
	h.maps[100] = "10000000-10100000 rw-p 00000000 00:00 0\n" + image
	_, why, err := k.Exec(100, 100)
	if err != nil || why == nil || why.Resource != limits.Commit {
		t.Fatalf("%v, %v", why, err)
	}
	used, _ := k.Budget()
	if err := k.CheckLedger(); err != nil || used != 0 {
		t.Errorf("%d bytes charged, %v", used, err)
	}
	k.Exit(task)
	if err := k.CheckLedger(); err != nil {
		t.Error(err)
	}
}

// TestTasks: a limit on tasks is one on those that live, and that are being made.
func TestTasks(t *testing.T) {
	_, task, h := boot(t)
	k := New(testConfig(), h)
	h.gone = map[int]bool{}
	k.SetTasks(2)
	k.Start(100)
	task, _, _ = k.Exec(100, 100)
	ask := func() Verdict {
		v, err := k.DecideClone(task, linux.SYS_CLONE, linux.CLONE_VM|linux.CLONE_THREAD)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := ask(); v.Kind != Observe {
		t.Fatalf("%+v", v)
	}
	clone(t, k, task, 101, linux.CLONE_VM|linux.CLONE_THREAD)
	k.EndClone(task)
	v := ask()
	if v.Kind != Refuse || v.Result.Errno != linux.EAGAIN || *v.Result.Refusal != (limits.Refusal{Resource: limits.Procs, Used: 2, Wanted: 1, Limit: 2, Errno: linux.EAGAIN}) {
		t.Errorf("%+v", v)
	}
	h.gone[101] = true
	if v := ask(); v.Kind != Observe {
		t.Errorf("one has ended: %+v", v)
	}
	k.EndClone(task)
}
