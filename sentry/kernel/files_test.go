package kernel

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// counted returns a kernel whose ledger has room for n pages more.
func counted(t *testing.T, n uint64) (*Kernel, *Task, *fakeHost) {
	t.Helper()
	h := &fakeHost{maps: map[int]string{}}
	k := New(testConfig(), h)
	k.SetLedger(limits.Ledger{})
	if _, err := k.Start(100); err != nil {
		t.Fatal(err)
	}
	task, _, err := k.Exec(100, 100)
	if err != nil {
		t.Fatal(err)
	}
	k.ledger.Limit = k.ledger.Used() + n
	return k, task, h
}

// TestFiles: a memory file is charged what we make it grow by, and gives it back when it shrinks or ends.
func TestFiles(t *testing.T) {
	k, task, h := counted(t, 100)
	start := k.ledger.Used()
	a, b := FileID{1, 1}, FileID{1, 2}
	grow := func(id FileID, have, want uint64) Verdict {
		t.Helper()
		v, unseen := k.DecideGrowth(task, Growth{File: id, Have: have, Want: want, Errno: linux.ENOSPC})
		if unseen != 0 {
			t.Fatalf("%d pages unseen", unseen)
		}
		return v
	}
	used := func(want uint64) {
		t.Helper()
		if got := k.ledger.Used() - start; got != want {
			t.Fatalf("%d pages are charged, want %d", got, want)
		}
		if err := k.CheckLedger(); err != nil {
			t.Fatal(err)
		}
	}
	grow(a, 0, 60)
	used(60)
	k.SetFile(a, 50) // what it came to
	used(50)
	if v := grow(a, 50, 50); v.Kind != Run {
		t.Errorf("%+v", v)
	}
	// What another had written before is not ours, and what is below it is not either.
	if v := grow(b, 1000, 1050); v.Kind != Run {
		t.Errorf("%+v", v)
	}
	used(100)
	v := grow(b, 1050, 1051)
	if v.Kind != Refuse || v.Result.Errno != linux.ENOSPC || v.Result.Refusal.Resource != limits.Commit || v.Result.Refusal.Errno != linux.ENOSPC {
		t.Errorf("%+v", v)
	}
	used(100)
	k.SetFile(b, 0)
	used(50)
	grow(b, 0, 1000)
	used(50)
	// The end of a file is seen when memory is short.
	h.ended = []FileID{a, {7, 7}}
	if v := grow(b, 1000, 1100); v.Kind != Run {
		t.Errorf("%+v", v)
	}
	used(100)
	k.DropFile(b)
	used(0)
	if k.KnowsFile(a) || k.KnowsFile(b) {
		t.Error("files that have ended are known")
	}
}

// TestFileGrownUnseen: what somebody else than those whom we stop has written is charged, and where the
// limit does not allow for it that is told.
func TestFileGrownUnseen(t *testing.T) {
	k, task, _ := counted(t, 100)
	id := FileID{1, 1}
	if v, unseen := k.DecideGrowth(task, Growth{File: id, Want: 10}); v.Kind != Run || unseen != 0 {
		t.Fatal(v, unseen)
	}
	if v, unseen := k.DecideGrowth(task, Growth{File: id, Have: 90, Want: 95}); v.Kind != Run || unseen != 0 {
		t.Fatal(v, unseen)
	}
	if _, unseen := k.DecideGrowth(task, Growth{File: id, Have: 101, Want: 101}); unseen != 6 {
		t.Errorf("%d pages unseen, want 6", unseen)
	}
	if k.OweFile(FileID{1, 2}, 1) {
		t.Error("the limit is exceeded, and nobody says so")
	}
	if err := k.CheckLedger(); err != nil {
		t.Error(err)
	}
	k.DropFile(id)
	if !k.OweFile(FileID{1, 3}, 50) || k.OweFile(FileID{1, 3}, 100) {
		t.Error("50 and 1 pages are allowed for, 101 are not")
	}
}

// TestFileWaits: what a call on its way gives back is waited for.
func TestFileWaits(t *testing.T) {
	k, task, _ := counted(t, 100)
	decide(t, k, task, mmapCall(100<<12))
	if _, _, err := k.Complete(task, top-100<<12); err != nil {
		t.Fatal(err)
	}
	child := clone(t, k, task, 101, threadFlags)
	decide(t, k, task, munmapCall(top-100<<12, 100<<12))
	g := Growth{File: FileID{1, 1}, Want: 100, Errno: linux.ENOMEM}
	if v, _ := k.DecideGrowth(child, g); v.Kind != Wait || v.WaitFor != task.TID {
		t.Fatalf("%+v", v)
	}
	k.Settle(task)
	if wake := k.TakeWakeups(); len(wake) != 1 || wake[0] != child.TID {
		t.Fatal(wake)
	}
	if v, _ := k.DecideGrowth(child, g); v.Kind != Run {
		t.Fatalf("%+v", v)
	}
}

// TestWatched: a child has its parent's filters as they were when the call that made it began, for
// certain.
func TestWatched(t *testing.T) {
	k, task, _ := counted(t, 100)
	fork := func(tid int, meanwhile func()) *Task {
		t.Helper()
		if v, err := k.DecideClone(task, linux.SYS_FORK, 0); err != nil || v.Kind != Observe {
			t.Fatal(v, err)
		}
		meanwhile()
		c := clone(t, k, task, tid, 0)
		k.EndClone(task)
		return c
	}
	if c := fork(101, func() { task.Group.Watched = true }); c.Group.Watched {
		t.Error("a child that was on its way before is watched")
	}
	if c := fork(102, func() {}); !c.Group.Watched {
		t.Error("a child is not watched")
	}
}

// TestFileOfTwoNames: the end of a file that had two names is told when nobody has it any more by one of them,
// and others may have it by the other.
func TestFileOfTwoNames(t *testing.T) {
	k, task, h := counted(t, 100)
	id := FileID{30, 1}
	grow := func(want uint64) VerdictKind {
		v, _ := k.DecideGrowth(task, Growth{File: FileID{30, 2}, Want: want, Errno: linux.ENOSPC})
		return v.Kind
	}
	if v, _ := k.DecideGrowth(task, Growth{File: id, Want: 60, Errno: linux.ENOSPC}); v.Kind != Run {
		t.Fatal(v)
	}
	h.ended, h.open = []FileID{id}, map[int]FileID{100: id}
	if kind := grow(50); kind != Refuse {
		t.Errorf("a file that is open was given back: %v", kind)
	}
	h.open = nil
	h.files = map[int32]*mm.File{3: {Kind: mm.Shmem, Name: "/dev/shm/a", Dev: id.Dev, Ino: id.Ino, Readable: true}}
	if errno := do(t, k, task, call(linux.SYS_MMAP, area, pg, linux.PROT_READ, shared, 3)); errno != 0 {
		t.Fatal(errno)
	}
	if kind := grow(50); kind != Refuse {
		t.Errorf("a file that is mapped was given back: %v", kind)
	}
	do(t, k, task, munmapCall(area, pg))
	if kind := grow(50); kind != Run {
		t.Errorf("it has ended, and there is room: %v", kind)
	}
	if err := k.CheckLedger(); err != nil {
		t.Error(err)
	}
}
