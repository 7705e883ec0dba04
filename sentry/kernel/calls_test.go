package kernel

import (
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/procmaps"
)

// area is where the tables' tasks have four pages of anonymous memory.
const area = 0x10000000

const areaMap = "10000000-10004000 rw-p 00000000 00:00 0 \n"

func call(nr uint64, args ...uint64) Call {
	c := Call{Nr: nr, Observable: true}
	copy(c.Args[:], args)
	return c
}

// bootArea is boot with the area mapped.
func bootArea(t *testing.T) (*Kernel, *Task, *fakeHost) {
	t.Helper()
	k, task, h := boot(t)
	decide(t, k, task, call(linux.SYS_MMAP, area, 0x4000, 3, linux.MAP_PRIVATE|linux.MAP_ANONYMOUS|linux.MAP_FIXED, ^uint64(0), 0))
	h.maps[task.TID] = areaMap + image
	if _, drift, err := k.Complete(task, area); drift != nil || err != nil {
		t.Fatal(drift, err)
	}
	return k, task, h
}

// lines returns the text of the task's VMAs below the image: ranges and protection.
func lines(m *mm.MemoryManager) string {
	var b strings.Builder
	for r, v := range m.All() {
		if r.Start < 0x500000000000 {
			prot := ""
			for i, f := range []mm.Flags{mm.VM_READ, mm.VM_WRITE, mm.VM_EXEC} {
				if v.Flags&f != 0 {
					prot += "rwx"[i : i+1]
				}
			}
			b.WriteString(r.String() + " " + prot + " ")
		}
	}
	return strings.TrimSpace(b.String())
}

// TestEveryCallIsDecided: each call reaches its own rule, with its arguments where they belong; what the
// kernel cuts off of a register is cut off.
func TestEveryCallIsDecided(t *testing.T) {
	const high = 1 << 32 // of a register that holds an int
	for _, x := range []struct {
		name string
		call Call
		want mm.Result
		list string
	}{
		{"munmap", call(linux.SYS_MUNMAP, area+0x1000, 0x1000), mm.Result{}, "10000000-10001000 rw 10002000-10004000 rw"},
		{"mprotect", call(linux.SYS_MPROTECT, area, 0x1000, 1), mm.Result{}, "10000000-10001000 r 10001000-10004000 rw"},
		{"pkey_mprotect without a key", call(linux.SYS_PKEY_MPROTECT, area, 0x1000, 1, 1<<32-1), mm.Result{}, "10000000-10001000 r 10001000-10004000 rw"},
		{"pkey_mprotect with one", call(linux.SYS_PKEY_MPROTECT, area, 0x1000, 1, 1), mm.Result{Unsure: true}, "10000000-10004000 rw"},
		{"mremap", call(linux.SYS_MREMAP, area, 0x4000, 0x4000, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, area+0x8000), mm.Result{Addr: area + 0x8000}, "10008000-1000c000 rw"},
		{"brk", call(linux.SYS_BRK, 0), mm.Result{Addr: 0x555555556000}, "10000000-10004000 rw"},
		{"madvise", call(linux.SYS_MADVISE, area, 0x1000, linux.MADV_DONTFORK|high), mm.Result{}, "10000000-10001000 rw 10001000-10004000 rw"},
		{"mlock", call(linux.SYS_MLOCK, area, 0x1000), mm.Result{}, "10000000-10001000 rw 10001000-10004000 rw"},
		{"mlock2", call(linux.SYS_MLOCK2, area, 0x1000, linux.MLOCK_ONFAULT|high), mm.Result{}, "10000000-10001000 rw 10001000-10004000 rw"},
		{"mlock2 with unknown flags", call(linux.SYS_MLOCK2, area, 0x1000, 2), mm.Result{Errno: linux.EINVAL}, "10000000-10004000 rw"},
		{"munlock", call(linux.SYS_MUNLOCK, area, 0x5000), mm.Result{Errno: linux.ENOMEM}, "10000000-10004000 rw"},
		{"mlockall", call(linux.SYS_MLOCKALL, high|8), mm.Result{Errno: linux.EINVAL}, "10000000-10004000 rw"},
		{"munlockall", call(linux.SYS_MUNLOCKALL), mm.Result{}, "10000000-10004000 rw"},
		{"msync", call(linux.SYS_MSYNC, area, 0x5000, linux.MS_SYNC), mm.Result{Errno: linux.ENOMEM}, "10000000-10004000 rw"},
		{"remap_file_pages", call(linux.SYS_REMAP_FILE_PAGES, area, 0x1000, 0, 1, 0), mm.Result{Errno: linux.EINVAL}, "10000000-10004000 rw"},
		{"shmat of no segment", call(linux.SYS_SHMAT, 7, 0, 0), mm.Result{Unsure: true}, "10000000-10004000 rw"},
		{"shmdt", call(linux.SYS_SHMDT, area), mm.Result{Errno: linux.EINVAL}, "10000000-10004000 rw"},
		{"mseal", call(linux.SYS_MSEAL, area, 0x1000, 0), mm.Result{}, "10000000-10001000 rw 10001000-10004000 rw"},
		{"map_shadow_stack", call(linux.SYS_MAP_SHADOW_STACK, 0, 0x1000, 0), mm.Result{Errno: linux.EOPNOTSUPP}, "10000000-10004000 rw"},
		{"PR_SET_MDWE", call(linux.SYS_PRCTL, linux.PR_SET_MDWE|high, 4), mm.Result{Errno: linux.EINVAL}, "10000000-10004000 rw"},
		{"another prctl", call(linux.SYS_PRCTL, linux.PR_SET_MM), mm.Result{Unsure: true}, "10000000-10004000 rw"},
		{"mbind", call(linux.SYS_MBIND, area, 0x1000, 2), mm.Result{Unsure: true}, "10000000-10004000 rw"},
	} {
		t.Run(x.name, func(t *testing.T) {
			k, task, _ := bootArea(t)
			v := decide(t, k, task, x.call)
			got := v.Result
			got.Refusal = nil
			if got != x.want {
				t.Errorf("%+v, want %+v", got, x.want)
			}
			if got := lines(task.MM()); got != x.list {
				t.Errorf("list %s, want %s", got, x.list)
			}
		})
	}
}

// TestAdoption: what the model could not know it takes over from the host's answer, or from its list.
func TestAdoption(t *testing.T) {
	const shared = "10000000-10002000 rw-s 00000000 00:01 9 /SYSV00000000\n"
	segment := &mm.File{Kind: mm.SysV, Size: 0x2000, Dev: 1, Ino: 9, Name: "/SYSV00000000"}
	hugeArgs := func(addr, flags uint64) []uint64 {
		return []uint64{addr, 1, 3, linux.MAP_PRIVATE | linux.MAP_ANONYMOUS | linux.MAP_HUGETLB | flags, ^uint64(0), 0}
	}
	const hugeMap = "20000000-20200000 rw-p 00000000 00:0f 5 /anon_hugepage (deleted)\n"
	for _, x := range []struct {
		name string
		call Call
		ret  int64
		maps string // what the kernel's list has below the image
		list string
	}{
		{"huge pages", call(linux.SYS_MMAP, hugeArgs(0x20000000, linux.MAP_FIXED)...), 0x20000000, areaMap + hugeMap, "10000000-10004000 rw 20000000-20200000 rw"},
		{"none are left", call(linux.SYS_MMAP, hugeArgs(0, 0)...), -int64(linux.ENOMEM), areaMap, "10000000-10004000 rw"},
		{"none are left, and what was there is gone", call(linux.SYS_MMAP, hugeArgs(0x10000000, linux.MAP_FIXED)...), -int64(linux.ENOMEM), "", ""},
		{"a segment", call(linux.SYS_SHMAT, 1, 0x30000000, 0), 0x30000000, areaMap, "10000000-10004000 rw 30000000-30002000 rw"},
		{"a segment of which nothing is known", call(linux.SYS_SHMAT, 2, 0, 0), area, shared, "10000000-10002000 rw"},
		{"a protection key", call(linux.SYS_PKEY_MPROTECT, area, 0x4000, 1, 1), 0, strings.Replace(areaMap, "rw", "r-", 1), "10000000-10004000 r"},
		{"KSM", call(linux.SYS_PRCTL, linux.PR_SET_MEMORY_MERGE, 1), 0, areaMap, "10000000-10004000 rw"},
	} {
		t.Run(x.name, func(t *testing.T) {
			k, task, h := bootArea(t)
			k.cfg.DefaultHuge = hostarch.HugePageSize
			h.segments, h.allowed = map[int32]*mm.File{1: segment}, 7
			decide(t, k, task, x.call)
			h.maps[task.TID] = x.maps + image
			if _, drift, err := k.Complete(task, x.ret); drift != nil || err != nil {
				t.Fatalf("drift %v, error %v", drift, err)
			}
			if got := lines(task.MM()); got != x.list {
				t.Errorf("list %q, want %q", got, x.list)
			}
		})
	}
}

// TestStackIsFollowed: a stack that has grown without a call is looked at before a decision in which that
// matters.
func TestStackIsFollowed(t *testing.T) {
	k, task, h := boot(t)
	h.maps[task.TID] = strings.Replace(image, "7ffffffde000", "7ffffffd0000", 1)
	decide(t, k, task, munmapCall(0x7ffffffd0000, 0x1000))
	if r, _, ok := task.MM().Find(0x7fffffffe000); !ok || r.Start != 0x7ffffffd1000 {
		t.Errorf("the stack is %v", r)
	}
}

// TestPlacedBelowStack: so is one below which something was placed: there is less room than was thought. Where the
// call is notified, nobody sees what the kernel answers, and its list says at the next call.
func TestPlacedBelowStack(t *testing.T) {
	for _, observable := range []bool{true, false} {
		k, task, h := boot(t)
		k.cfg.StackGuardGap = 0x100000
		stack := func(start string) string { return start + "-20008000 rw-p 00000000 00:00 0\n" }
		h.maps[task.TID] = stack("20004000") + image
		decide(t, k, task, call(linux.SYS_MMAP, 0x20004000, 0x4000, 3, linux.MAP_PRIVATE|linux.MAP_ANONYMOUS|linux.MAP_FIXED|linux.MAP_GROWSDOWN, ^uint64(0), 0))
		if _, drift, err := k.Complete(task, 0x20004000); drift != nil || err != nil {
			t.Fatal(drift, err)
		}
		h.maps[task.TID] = stack("20002000") + image // a fault made it grow
		hinted := call(linux.SYS_MMAP, 0x20004000-0x100000-0x1000, 0x1000, 3, linux.MAP_PRIVATE|linux.MAP_ANONYMOUS, ^uint64(0), 0)
		hinted.Observable = observable
		v := decide(t, k, task, hinted)
		if observable {
			if v.Result.Addr == 0x20004000-0x100000-0x1000 {
				t.Errorf("placed at %v, in the guard gap of the stack", v.Result.Addr)
			}
		} else {
			h.maps[task.TID] = stack("20002000") + strings.Replace(image, "7ffff7ffd000", "7ffff7ffc000-7ffff7ffd000 rw-p 00000000 00:00 0 \n7ffff7ffd000", 1)
			decide(t, k, task, munmapCall(0x30000000, 0x1000))
			if _, _, ok := task.MM().Find(top - 1); !ok {
				t.Errorf("what was mapped is not where the kernel has put it: %s", lines(task.MM()))
			}
		}
		if r, _, ok := task.MM().Find(0x20004000); !ok || r.Start != 0x20002000 {
			t.Errorf("observable %t: the stack is %v", observable, r)
		}
	}
}

// TestMoveStopsHalfway: what a move of several VMAs has moved until it failed has its flags still, although it is the
// kernel's list that says how far it came.
//
//	source  [grows down)[ring][x)      the ring may move or not, and [x) finds something sealed
//	target  [grows down)[ring][sealed)
func TestMoveStopsHalfway(t *testing.T) {
	const (
		grows  = "-10002000 rw-p 00000000 00:00 0 \n"
		ring   = "-10003000 rw-s 00000000 00:12 9 /[aio] (deleted)\n"
		x      = "10003000-10004000 r--p 00000000 00:00 0 \n"
		sealed = "20003000-20004000 r--p 00000000 00:00 0 \n"
	)
	k, task, h := boot(t)
	anon := func(addr, size, flags uint64) {
		t.Helper()
		decide(t, k, task, call(linux.SYS_MMAP, addr, size, 1, linux.MAP_PRIVATE|linux.MAP_ANONYMOUS|linux.MAP_FIXED|flags, ^uint64(0), 0))
		if _, drift, err := k.Complete(task, int64(addr)); drift != nil || err != nil {
			t.Fatal(drift, err)
		}
	}
	anon(0x10000000, 0x2000, linux.MAP_GROWSDOWN)
	anon(0x10003000, 0x1000, 0)
	anon(0x20003000, 0x1000, 0)
	// A ring of which nothing else is known was found in the list.
	h.maps[task.TID] = "10000000" + strings.Replace(grows, "rw", "r-", 1) + "10002000" + ring + x + sealed + image
	if err := k.reconcile(task); err != nil {
		t.Fatal(err)
	}
	decide(t, k, task, Call{Nr: linux.SYS_MSEAL, Args: [6]uint64{0x20003000, 0x1000}})
	v := decide(t, k, task, call(linux.SYS_MREMAP, 0x10000000, 0x4000, 0x4000, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, 0x20000000))
	if !v.Result.Unsure {
		t.Fatalf("%+v", v)
	}
	h.maps[task.TID] = x + "20000000-20002000 r--p 00000000 00:00 0 \n20002000-20003000 rw-s 00000000 00:12 9 /[aio] (deleted)\n" + sealed + image
	if _, drift, err := k.Complete(task, -int64(linux.EPERM)); drift != nil || err != nil {
		t.Fatal(drift, err)
	}
	if r, vma, ok := task.MM().Find(0x20000000); !ok || vma.Flags&mm.VM_GROWSDOWN == 0 {
		t.Errorf("%v does not grow down any more: %s", r, lines(task.MM()))
	}
}

// TestDriftIsAdopted: an answer that the model does not allow for is reported, and the kernel's list is right.
func TestDriftIsAdopted(t *testing.T) {
	k, task, h := bootArea(t)
	decide(t, k, task, mmapCall(0x1000))
	h.maps[task.TID] = areaMap + image
	_, drift, err := k.Complete(task, -int64(linux.EACCES))
	if err != nil || drift == nil || !strings.Contains(drift.Error(), "the kernel says EACCES") {
		t.Fatalf("drift %v, error %v", drift, err)
	}
	h.maps[task.TID] = strings.Replace(areaMap, "rw-p", "r--p", 1) + image
	drift, done, err := k.Verify(task)
	if err != nil || !done || drift == nil || !strings.Contains(drift.Error(), "the list of mappings") {
		t.Fatalf("drift %v, done %v, error %v", drift, done, err)
	}
	if got := lines(task.MM()); got != "10000000-10004000 r" {
		t.Errorf("list %s", got)
	}
}

// TestFileNeighbours: two mappings of one file are one VMA where they came from one description, which only
// the kernel knows.
func TestFileNeighbours(t *testing.T) {
	const one = "10000000-10002000 r--p 00000000 fe:00 8 /lib\n"
	const two = "10000000-10001000 r--p 00000000 fe:00 8 /lib\n10001000-10002000 r--p 00001000 fe:00 8 /lib\n"
	for name, list := range map[string]string{"of one": one, "of two": two} {
		k, task, h := boot(t)
		f := mm.File{Dev: 0xfe00, Ino: 8, Readable: true, UnsureIdentity: true, Name: "/lib"}
		again := f
		h.files[7], h.files[8] = &f, &again
		file := func(addr, fd, off uint64) Call {
			return call(linux.SYS_MMAP, addr, 0x1000, 1, linux.MAP_PRIVATE|linux.MAP_FIXED, fd, off)
		}
		decide(t, k, task, file(area, 7, 0))
		h.maps[task.TID] = two[:strings.Index(two, "\n")+1] + image
		if _, drift, err := k.Complete(task, area); drift != nil || err != nil {
			t.Fatal(drift, err)
		}
		decide(t, k, task, file(area+0x1000, 8, 0x1000))
		h.maps[task.TID] = list + image
		if _, drift, err := k.Complete(task, area+0x1000); drift != nil || err != nil {
			t.Fatal(drift, err)
		}
		entries, _ := procmaps.Parse([]byte(list + image))
		n := 0
		for range task.MM().All() {
			n++
		}
		if n != len(entries) {
			t.Errorf("%s: %d VMAs, want %d", name, n, len(entries))
		}
	}
}

func TestVerdictNames(t *testing.T) {
	for kind, want := range map[VerdictKind]string{Run: "allow", Observe: "allow", Rewrite: "rewrite", Refuse: "refuse", Wait: "wait"} {
		if got := kind.String(); got != want {
			t.Errorf("%d is %q, want %q", kind, got, want)
		}
	}
}

// TestSealedSinceMapped: whether a memfd can be mapped again only the kernel knows: it may have been
// sealed meanwhile, by a call that nobody looks at. (Whole programs, seed 20340.)
func TestSealedSinceMapped(t *testing.T) {
	k, task, h := boot(t)
	h.files[7] = &mm.File{Kind: mm.Shmem, Dev: 1, Ino: 8, Readable: true, Writable: true, Name: "/memfd:x (deleted)"}
	const mapped = "10000000-10002000 rw-s 00000000 00:01 8 /memfd:x (deleted)\n"
	decide(t, k, task, call(linux.SYS_MMAP, area, 0x2000, 3, linux.MAP_SHARED|linux.MAP_FIXED, 7, 0))
	h.maps[task.TID] = mapped + image
	if _, drift, err := k.Complete(task, area); drift != nil || err != nil {
		t.Fatal(drift, err)
	}
	decide(t, k, task, call(linux.SYS_REMAP_FILE_PAGES, area, 0x1000, 0, 1, 0))
	if _, drift, err := k.Complete(task, -int64(linux.EPERM)); drift != nil || err != nil {
		t.Error(drift, err)
	}
}
