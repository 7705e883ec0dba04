package kernel

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// stackOf is image with a stack of that size, in bytes.
func stackOf(size uint64) string {
	return strings.Replace(image, "7ffffffde000", fmt.Sprintf("%x", stackEnd-size), 1)
}

// TestStackGrownUnderALowerLimit: a stack that has used its room keeps that when the limit is lowered.
func TestStackGrownUnderALowerLimit(t *testing.T) {
	k, task, h := bootRoomy(t, 10)
	decide(t, k, task, call(linux.SYS_SETRLIMIT, 3, 0x1000))
	h.maps[100] = stackOf(7 << 20)
	h.stackLimits = map[int]uint64{100: 1 << 20}
	if _, _, err := k.Complete(task, 0); err != nil {
		t.Fatal(err)
	}
	if got, want := left(t, k), uint64(10+(1<<20)/pg); got != want {
		t.Errorf("%d pages are left, want %d", got, want)
	}
	// Somebody else's prlimit is seen at the next call, which is refused and undoes nothing of this.
	h.stackLimits[100] = 512 << 10
	if errno := do(t, k, task, anon(area, 4000, rwProt, private)); errno != linux.ENOMEM {
		t.Error(errno)
	}
	left(t, k)
}

// TestExecGrowsStack: an exec reads its arguments, and the stack grows to where they are said to be, under
// the program's own limit. That is charged; what cannot be is the end of all that use the address space.
func TestExecGrowsStack(t *testing.T) {
	for _, c := range []struct {
		name      string
		size, had uint64 // of the stack after the exec, and pages left before
		vfork     bool   // another process makes the exec
		dies      bool   // in the exec
		want      []int
	}{
		{"fits", 4 << 20, 1100, false, false, nil},
		{"does not fit", 6 << 20, 1100, false, false, []int{100}},
		{"fits, of the parent", 4 << 20, 1100, true, false, nil},
		{"does not fit, of the parent", 6 << 20, 1100, true, false, []int{100}},
		{"killed, of the parent", 6 << 20, 1100, true, true, []int{100}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, task, h := bootRoomy(t, 10)
			do(t, k, task, anon(area, 11, rwProt, private)) // makes the room small
			do(t, k, task, anon(area+0x1000000, left(t, k)-c.had, rwProt, private))
			execs := task
			if c.vfork {
				execs = clone(t, k, task, 101, linux.CLONE_VM|linux.CLONE_VFORK)
			}
			if restored, err := k.BeginExec(execs); !restored || err != nil {
				t.Fatal(restored, err)
			}
			h.maps[100] = stackOf(c.size)
			switch {
			case c.dies:
				k.Exit(execs)
			case c.vfork:
				// Where the parent has taken too much, there is none for the new image either.
				if _, why, err := k.Exec(101, 101); (why != nil) != (c.want != nil) || err != nil {
					t.Fatal(why, err)
				}
			default:
				if err := k.EndExec(execs); err != nil {
					t.Fatal(err)
				}
			}
			var got []int
			for _, o := range k.TakeOverdrawn() {
				got = append(got, o.TID)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("to be killed: %v, want %v", got, c.want)
			}
			if err := k.CheckLedger(); err != nil {
				t.Error(err)
			}
			if r, _, _ := task.MM().Find(stackEnd - 1); r.Length() != c.size {
				t.Errorf("the stack is known to have %d bytes", r.Length())
			}
		})
	}
}

// TestLimitLoweredInAFork: the kernel may have copied the limit of a process for its child just before
// that was lowered.
func TestLimitLoweredInAFork(t *testing.T) {
	for _, flags := range []uint64{0, linux.CLONE_VM} {
		k, task, h := bootRoomy(t, 5000)
		if v, err := k.DecideClone(task, linux.SYS_CLONE, flags); v.Kind != Observe || err != nil {
			t.Fatal(v, err)
		}
		if !k.squeeze(task.space, task) {
			t.Fatal("not lowered")
		}
		clone(t, k, task, 101, flags)
		k.EndClone(task)
		if got := h.stackLimits[101]; got != stackSize+leastRoom {
			t.Errorf("flags %#x: the child's limit is %d", flags, got)
		}
		left(t, k)
	}
}

// forked is a fork of parent's, all of it.
func forked(t *testing.T, k *Kernel, parent *Task, tid int) *Task {
	t.Helper()
	if v, err := k.DecideClone(parent, linux.SYS_FORK, 0); v.Kind != Observe || err != nil {
		t.Fatal(v, err)
	}
	c := clone(t, k, parent, tid, 0)
	k.EndClone(parent)
	return c
}

// TestKilledInShmget: a segment stays when its creator is killed before the end of shmget is seen.
func TestKilledInShmget(t *testing.T) {
	k, parent, h := bootCounted(t, 2000)
	task := forked(t, k, parent, 101)
	before := left(t, k)
	decide(t, k, task, call(linux.SYS_SHMGET, 0, 100*pg-1, linux.IPC_CREAT))
	h.sysv = map[int32]SegmentInfo{
		1: {Size: 100*pg - 1, Creator: 101}, 2: {Size: 100*pg - 1, Creator: 7}, 3: {Size: pg, Creator: 101},
	}
	cost := task.space.cost
	k.Exit(task)
	if got, want := left(t, k), before+cost-100; got != want {
		t.Errorf("%d pages are left, want %d", got, want)
	}
	h.sysv = nil
	k.collectSegments()
	if got, want := left(t, k), before+cost; got != want {
		t.Errorf("%d pages are left in the end, want %d", got, want)
	}
}

// TestUnsureCopy: a mapping of a driver's that is moved and stays where it was costs twice as much.
func TestUnsureCopy(t *testing.T) {
	k, task, h := bootCounted(t, 30)
	h.files = map[int32]*mm.File{3: {Kind: mm.Device, Readable: true, Writable: true, Dev: 7, Ino: 7}}
	if v := decide(t, k, task, call(linux.SYS_MMAP, area, 20*pg, rwProt, private, 3, 0)); v.Kind != Observe {
		t.Fatal(v)
	}
	h.maps[100] = fmt.Sprintf("%x-%x rw-p 00000000 00:07 7 /dev/driver\n", area, area+20*pg) + image
	if _, drift, err := k.Complete(task, area); drift != nil || err != nil {
		t.Fatal(drift, err)
	}
	if got := left(t, k); got != 10 {
		t.Fatalf("%d pages are left", got)
	}
	const flags = linux.MREMAP_MAYMOVE | linux.MREMAP_DONTUNMAP
	if v := decide(t, k, task, call(linux.SYS_MREMAP, area, 20*pg, 20*pg, flags)); v.Kind != Refuse {
		t.Errorf("%v, %v", v.Kind, v.Result)
	}
}
