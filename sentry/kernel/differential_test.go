package kernel

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// What integration's TestDifferential found, each as small as it can be.

// A thread that waits in another call has left its last one: nobody need make it stop, which some
// calls answer with EINTR.
func TestWaitingElsewhereProves(t *testing.T) {
	k, one, h := boot(t)
	two := clone(t, k, one, 101, threadFlags)
	decide(t, k, one, munmapCall(0x10000000, 0x1000))
	if v := decide(t, k, two, munmapCall(0x10000000, 0x1000)); v.Kind != Wait {
		t.Fatalf("while it may be in its call: %+v", v)
	}
	h.left = map[int]bool{100: true}
	if v := decide(t, k, two, munmapCall(0x10000000, 0x1000)); v.Kind != Run {
		t.Errorf("when it waits elsewhere: %+v", v)
	}
}

// A driver refused a fixed mapping when the old one was gone already. Until the model has the
// kernel's list, which it cannot compare while another call is on its way, nothing is decided.
func TestBehindTheKernel(t *testing.T) {
	k, one, h := boot(t)
	two := clone(t, k, one, 101, threadFlags)
	h.files = map[int32]*mm.File{7: {Kind: mm.Device, Readable: true}}
	decide(t, k, two, munmapCall(0x10000000, 0x1000))
	c := mmapCall(0x1000)
	c.Args[0], c.Args[2], c.Args[3], c.Args[4] = 0x20000000, linux.PROT_READ, linux.MAP_PRIVATE|linux.MAP_FIXED, 7
	if v := decide(t, k, one, c); !v.Result.Unsure {
		t.Fatalf("%+v", v)
	}
	if _, _, err := k.Complete(one, -int64(linux.ENODEV)); err != nil {
		t.Fatal(err)
	}
	if v := decide(t, k, one, mmapCall(0x1000)); v.Kind != Wait || v.WaitFor != 101 {
		t.Errorf("%+v", v)
	}
}

// Whether a range lies in one VMA can depend on page faults: an mremap that the kernel refuses
// because of such a boundary is no drift, and the boundary is known from then on.
func TestRemapAcrossUnknownBoundary(t *testing.T) {
	k, task, h := boot(t)
	decide(t, k, task, mmapCall(0x2000))
	if _, _, err := k.Complete(task, top-0x2000); err != nil {
		t.Fatal(err)
	}
	decide(t, k, task, Call{Nr: linux.SYS_MREMAP, Args: [6]uint64{top - 0x2000, 0x2000, 0x3000, linux.MREMAP_MAYMOVE}, Observable: true})
	h.maps[100] = strings.Replace(image, "7ffff7ffd000-", "7ffff7ffb000-7ffff7ffc000 rw-p 00000000 00:00 0 \n7ffff7ffc000-7ffff7ffd000 rw-p 00000000 00:00 0 \n7ffff7ffd000-", 1)
	if _, drift, err := k.Complete(task, -int64(linux.EFAULT)); drift != nil || err != nil {
		t.Fatal(drift, err)
	}
	if r, _, _ := task.MM().Find(top - 0x2000); r.End != top-0x1000 {
		t.Errorf("the VMA is %v", r)
	}
}

// While another thread's call is on its way, boundaries cannot be looked at: an mremap that depends on one
// waits. (Whole programs, seeds 40161 and 40166.)
func TestRemapWaitsForBoundary(t *testing.T) {
	const apart = "7ffff7ffb000-7ffff7ffc000 rw-p 00000000 00:00 0 \n7ffff7ffc000-7ffff7ffd000 rw-p 00000000 00:00 0 \n7ffff7ffd000-"
	k, _, h := boot(t)
	h.maps[100] = strings.Replace(image, "7ffff7ffd000-", apart, 1)
	one, _, err := k.Exec(100, 100)
	if err != nil {
		t.Fatal(err)
	}
	two := clone(t, k, one, 101, threadFlags)
	decide(t, k, two, munmapCall(0x10000000, 0x1000))
	grow := Call{Nr: linux.SYS_MREMAP, Args: [6]uint64{top - 0x2000, 0x2000, 0x3000, linux.MREMAP_MAYMOVE}, Observable: true}
	h.maps[100] = strings.Replace(image, "7ffff7ffd000-", "7ffff7ffb000-7ffff7ffd000 rw-p 00000000 00:00 0 \n7ffff7ffd000-", 1)
	if v := decide(t, k, one, grow); v.Kind != Wait || v.WaitFor != 101 {
		t.Fatalf("while another call is on its way: %+v", v)
	}
	h.left = map[int]bool{101: true}
	if v := decide(t, k, one, grow); v.Kind != Observe || v.Result.Errno != 0 {
		t.Errorf("when it is over: %+v", v)
	}
}

// What a policy is only shows in how VMAs merge. A child has those that its parent's model still
// lacks, as it waits for another thread's call to end.
func TestForkInheritsPolicies(t *testing.T) {
	k, one, h := boot(t)
	h.maps[100] = strings.Replace(image, "7ffff7ffd000-", "7ffff7ff9000-7ffff7ffd000 rw-s 00000000 00:01 7 /dev/zero (deleted)\n7ffff7ffd000-", 1)
	one, _, err := k.Exec(100, 100)
	if err != nil {
		t.Fatal(err)
	}
	two := clone(t, k, one, 101, threadFlags)
	decide(t, k, two, munmapCall(0x10000000, 0x1000))
	decide(t, k, one, Call{Nr: linux.SYS_MBIND, Observable: true, Args: [6]uint64{0x7ffff7ff9000, 0x2000, 2}})
	if _, drift, err := k.Complete(one, 0); drift != nil || err != nil {
		t.Fatal(drift, err)
	}
	h.maps[102] = strings.Replace(h.maps[100], "7ffff7ff9000-7ffff7ffd000 rw-s 00000000 00:01 7 /dev/zero (deleted)\n",
		"7ffff7ff9000-7ffff7ffb000 rw-s 00000000 00:01 7 /dev/zero (deleted)\n7ffff7ffb000-7ffff7ffd000 rw-s 00002000 00:01 7 /dev/zero (deleted)\n", 1)
	child := clone(t, k, one, 102, 0)
	decide(t, k, child, Call{Nr: linux.SYS_MPROTECT, Args: [6]uint64{0x7ffff7ff9000, 0x4000, 1}})
	if r, _, _ := child.MM().Find(0x7ffff7ff9000); r.End != 0x7ffff7ffb000 {
		t.Errorf("%v is one VMA", r)
	}
}

// Limits can be changed from outside of the sandbox at any time.
func TestLimitsFromOutside(t *testing.T) {
	k, task, h := boot(t)
	h.limited = func(l *limits.Rlimits) { l.AS = 0x1000 }
	if v := decide(t, k, task, mmapCall(0x1000)); v.Result.Errno != linux.ENOMEM {
		t.Errorf("mmap with a limit: %+v", v)
	}
	if _, drift, err := k.Complete(task, -int64(linux.ENOMEM)); drift != nil || err != nil {
		t.Fatal(drift, err)
	}
	h.limited = nil
	if v := decide(t, k, task, mmapCall(0x1000)); v.Result.Errno != 0 {
		t.Errorf("mmap without: %+v", v)
	}
}

// A segment that its mode does not permit is refused after the arguments are looked at.
func TestSegmentPermissions(t *testing.T) {
	k, task, h := boot(t)
	h.segments, h.allowed = map[int32]*mm.File{3: {Kind: mm.SysV, Dev: 1, Ino: 3, Size: hostarch.PageSize}}, 4
	for name, tc := range map[string]struct {
		addr, flags uint64
		errno       linux.Errno
	}{
		"read":           {0, linux.SHM_RDONLY, 0},
		"write":          {0, 0, linux.EACCES},
		"execute":        {0, linux.SHM_RDONLY | linux.SHM_EXEC, linux.EACCES},
		"bad address":    {1, 0, linux.EINVAL},
		"remap anywhere": {0, linux.SHM_REMAP, linux.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			v := decide(t, k, task, Call{Nr: linux.SYS_SHMAT, Args: [6]uint64{3, tc.addr, tc.flags}, Observable: true})
			if v.Result.Errno != tc.errno {
				t.Errorf("%+v", v)
			}
			ret := int64(v.Result.Addr)
			if tc.errno != 0 {
				ret = -int64(tc.errno)
			}
			if _, drift, err := k.Complete(task, ret); drift != nil || err != nil {
				t.Fatal(drift, err)
			}
		})
	}
}

// A segment made with SHM_HUGETLB is known as such: what its attachment becomes, the host says.
func TestHugeSegment(t *testing.T) {
	k, task, h := boot(t)
	h.segments, h.allowed = map[int32]*mm.File{3: {Kind: mm.SysV, Dev: 1, Ino: 3, Size: hostarch.PageSize}}, 7
	decide(t, k, task, Call{Nr: linux.SYS_SHMGET, Args: [6]uint64{0, hostarch.PageSize, linux.SHM_HUGETLB | 21<<linux.MAP_HUGE_SHIFT}, Observable: true})
	if _, _, err := k.Complete(task, 3); err != nil {
		t.Fatal(err)
	}
	v := decide(t, k, task, Call{Nr: linux.SYS_SHMAT, Args: [6]uint64{3}, Observable: true})
	if !v.Result.Unsure {
		t.Errorf("%+v", v)
	}
}

// Where there are huge pages, only the list tells whether a segment is of them, once it is attached; what
// the list does not show, such as that it was attached read-only, is known all the same.
func TestSegmentThatMayBeHuge(t *testing.T) {
	const at = top - 0x200000
	for dev, want := range map[string]mm.FileKind{"00:01": mm.SysV, "00:0f": mm.Hugetlb} {
		k, task, h := boot(t)
		h.segments, h.allowed, h.mayBeHuge = map[int32]*mm.File{3: {Kind: mm.SysV, Dev: 1, Ino: 3, Size: 0x200000}}, 7, true
		attach := Call{Nr: linux.SYS_SHMAT, Args: [6]uint64{3, 0, linux.SHM_RDONLY}, Observable: true}
		if v := decide(t, k, task, attach); !v.Result.Unsure {
			t.Fatalf("%+v", v)
		}
		h.maps[100] = strings.Replace(image, "7ffff7ffd000-", fmt.Sprintf("%x-7ffff7ffd000 r--s 00000000 %s 3 /SYSV00000000 (deleted)\n7ffff7ffd000-", uint64(at), dev), 1)
		if _, drift, err := k.Complete(task, at); drift != nil || err != nil {
			t.Fatal(drift, err)
		}
		_, v, ok := task.MM().Find(at)
		if !ok || v.File.Kind != want || v.Flags&mm.VM_MAYWRITE != 0 {
			t.Errorf("device %s: %+v", dev, v)
		}
		if v := decide(t, k, task, Call{Nr: linux.SYS_MPROTECT, Args: [6]uint64{at, 0x200000, 3}}); v.Result.Errno != linux.EACCES {
			t.Errorf("device %s: it may be written: %+v", dev, v)
		}
	}
}

// A call that a signal interrupts so that it begins again is no answer: it is decided anew.
func TestInterruptedCallBeginsAgain(t *testing.T) {
	k, task, _ := boot(t)
	before := task.MM().Totals()
	v := decide(t, k, task, mmapCall(0x1000))
	got, drift, err := k.Complete(task, -int64(linux.ERESTARTSYS))
	if drift != nil || err != nil || !got.Errno.Restarts() || task.MM().Totals() != before {
		t.Fatalf("%+v, drift %v, error %v", got, drift, err)
	}
	if w := decide(t, k, task, mmapCall(0x1000)); w.Result.Addr != v.Result.Addr {
		t.Errorf("%+v, and then %+v", v, w)
	}
}
