package kernel

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// bootWith is boot with what has to be set before the first task.
func bootWith(t *testing.T, set func(k *Kernel)) (*Kernel, *Task) {
	t.Helper()
	k := New(testConfig(), &fakeHost{maps: map[int]string{}, files: map[int32]*mm.File{}})
	set(k)
	if _, err := k.Start(100); err != nil {
		t.Fatal(err)
	}
	task, _, err := k.Exec(100, 100)
	if err != nil {
		t.Fatal(err)
	}
	return k, task
}

// TestMapCount: image has three VMAs, and a limit of four is enforced on every call that makes VMAs,
// also on those that only the host decides. What is refused changes nothing.
func TestMapCount(t *testing.T) {
	const (
		text = 0x555555554000 // two pages
		page = hostarch.PageSize
		rx   = linux.PROT_READ | linux.PROT_EXEC
	)
	fill := func(t *testing.T, k *Kernel, task *Task) { // up to one more than the limit, as do_mmap allows
		for range 2 {
			v := decide(t, k, task, Call{Nr: linux.SYS_MMAP, Observable: true, Args: [6]uint64{0, page, 0,
				linux.MAP_SHARED | linux.MAP_ANONYMOUS, ^uint64(0), 0}})
			if v.Kind != Observe {
				t.Fatalf("%+v", v)
			}
			if _, _, err := k.Complete(task, int64(v.Result.Addr)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, x := range []struct {
		name   string
		call   Call
		value  int64 // what the program sees when it is refused
		passes bool
	}{
		{name: "mmap", call: mmapCall(page), value: -int64(linux.ENOMEM)},
		{name: "munmap of a half", call: munmapCall(text+page, page), passes: true},
		{name: "mprotect of a half", call: Call{Nr: linux.SYS_MPROTECT, Args: [6]uint64{text, page, rx &^ linux.PROT_EXEC}}, value: -int64(linux.ENOMEM)},
		{name: "mprotect of all", call: Call{Nr: linux.SYS_MPROTECT, Args: [6]uint64{text, 2 * page, linux.PROT_READ}}, passes: true},
		{name: "pkey_mprotect of a half", call: Call{Nr: linux.SYS_PKEY_MPROTECT, Observable: true, Args: [6]uint64{text, page, rx, 1}}, value: -int64(linux.ENOMEM)},
		{name: "madvise of a half", call: Call{Nr: linux.SYS_MADVISE, Args: [6]uint64{text, page, linux.MADV_DONTFORK}}, value: -int64(linux.EAGAIN)},
		{name: "mlock of a half", call: Call{Nr: linux.SYS_MLOCK, Args: [6]uint64{text, page}}, value: -int64(linux.ENOMEM)},
		{name: "mbind of a half", call: Call{Nr: linux.SYS_MBIND, Observable: true, Args: [6]uint64{text, page, 2}}, value: -int64(linux.ENOMEM)},
		{name: "mbind of all", call: Call{Nr: linux.SYS_MBIND, Observable: true, Args: [6]uint64{text, 2 * page, 2}}, passes: true},
		{name: "io_setup", call: Call{Nr: linux.SYS_IO_SETUP, Observable: true, Args: [6]uint64{8}}, value: -int64(linux.ENOMEM)},
		{name: "brk", call: Call{Nr: linux.SYS_BRK, Args: [6]uint64{0x555555557000}}, value: 0x555555556000},
	} {
		t.Run(x.name, func(t *testing.T) {
			k, task := bootWith(t, func(k *Kernel) { k.SetMapCount(4) })
			fill(t, k, task)
			before := task.MM().Totals()
			v := decide(t, k, task, x.call)
			if x.passes {
				if v.Kind == Refuse {
					t.Fatalf("refused: %v", v.Result.Refusal)
				}
				return
			}
			why := v.Result.Refusal
			if v.Kind != Refuse || why == nil || why.Resource != limits.MapCount || why.Limit != 4 || v.Result.Value() != x.value {
				t.Fatalf("%+v, %v", v, why)
			}
			if after := task.MM().Totals(); after != before {
				t.Errorf("the model changed from %+v to %+v", before, after)
			}
		})
	}
	// The limit survives a change of the host's settings.
	k, task := bootWith(t, func(k *Kernel) { k.SetMapCount(0) })
	k.Reconfigure(*testConfig())
	if v := decide(t, k, task, mmapCall(page)); v.Kind != Refuse || v.Result.Refusal.Limit != 0 {
		t.Errorf("%+v", v)
	}
	// A limit above the host's is none of ours: the host answers.
	k, task = bootWith(t, func(k *Kernel) { k.SetMapCount(1 << 40) })
	if k.limited() || decide(t, k, task, mmapCall(page)).Kind != Observe {
		t.Error("a limit above the host's is enforced by us")
	}
}

// TestLayouts: in a layout other than the exec's, addresses are the manager's own.
func TestLayouts(t *testing.T) {
	const unmapped = 0x2aaaaaaab000 // TASK_UNMAPPED_BASE
	for _, x := range []struct {
		layout mm.Layout
		kind   VerdictKind
	}{{mm.TopDown, Observe}, {mm.BottomUp, Rewrite}, {mm.Legacy, Rewrite}} {
		k, task := bootWith(t, func(k *Kernel) {
			k.cfg.NoRandomize = true // the image lies where it does without
			k.SetLayout(x.layout)
		})
		v := decide(t, k, task, mmapCall(0x1000))
		if task.MM().Layout() != x.layout || v.Kind != x.kind {
			t.Errorf("layout %d: %+v", x.layout, v)
		}
		if x.kind == Rewrite && (v.Args[0] != uint64(v.Result.Addr) || v.Result.Addr < unmapped || v.Result.Addr > unmapped+1<<20) {
			t.Errorf("layout %d: %+v", x.layout, v)
		}
	}
}
