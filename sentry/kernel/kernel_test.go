package kernel

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/procmaps"
)

// image is what every task of these tests has after exec: mmap_base is 0x7ffff7fff000.
const image = `555555554000-555555556000 r-xp 00000000 fe:00 1 /bin/guest
7ffff7ffd000-7ffff7fff000 r-xp 00000000 00:00 0 [vdso]
7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0 [stack]
`

const top = 0x7ffff7ffd000 // the lowest address in use below mmap_base

// fakeHost is a machine whose tasks have what a test says.
type fakeHost struct {
	maps  map[int]string // by thread id; image where there is none
	hides bool           // the tasks cannot be looked at

	credsLooks int // how often credentials were looked at
	files      map[int32]*mm.File
	ranges     []hostarch.AddrRange // of process_madvise

	segments    map[int32]*mm.File
	allowed     uint32 // what of rwx they permit
	mayBeHuge   bool
	changeable  map[string]bool // files, by name
	limited     func(*limits.Rlimits)
	stackLimits map[int]uint64 // RLIMIT_STACK by process, where it was set
	gone        map[int]bool   // threads that have no address space any more
	sysv        map[int32]SegmentInfo
	ended       []FileID
	open        map[int]FileID // a file that the thread has a descriptor of
	otherIPC    bool           // the tasks are in an IPC namespace of their own
	left        map[int]bool   // threads that are known to wait in another call than their last decided one
}

func (h *fakeHost) File(_ *Task, fd int32) (*mm.File, error) {
	if f := h.files[fd]; f != nil {
		return f, nil
	}
	return nil, linux.EBADF
}

func (h *fakeHost) Changeable(_ *Task, f *mm.File) (bool, error) { return h.changeable[f.Name], nil }

func (h *fakeHost) HasLeft(t *Task, _ uint64) bool { return h.left[t.TID] }
func (h *fakeHost) Gone(t *Task) bool              { return h.gone[t.TID] }

func (h *fakeHost) HasOpen(t *Task, id FileID) bool { return h.open[t.TID] == id }

func (h *fakeHost) EndedFiles() []FileID {
	ended := h.ended
	h.ended = nil
	return ended
}

func (h *fakeHost) Segments(t *Task) (map[int32]SegmentInfo, error) {
	if h.otherIPC && t != nil {
		return nil, linux.EINVAL
	}
	return h.sysv, nil
}

func (h *fakeHost) Segment(_ *Task, id int32) (Segment, error) {
	if h.segments[id] == nil {
		return Segment{}, linux.EINVAL
	}
	f := *h.segments[id]
	return Segment{File: &f, Allowed: h.allowed, MayBeHuge: h.mayBeHuge}, nil
}

func (h *fakeHost) Ranges(*Task, hostarch.Addr, uint64) ([]hostarch.AddrRange, error) {
	return h.ranges, nil
}

func (h *fakeHost) Maps(t *Task) ([]procmaps.Entry, error) {
	if h.hides {
		return nil, fmt.Errorf("maps: %w", ErrHidden)
	}
	text := h.maps[t.TID]
	if text == "" {
		text = image
	}
	return procmaps.Parse([]byte(text))
}

func (h *fakeHost) Limit(t *Task, r limits.Resource) (soft, hard uint64, err error) {
	l := limits.Unlimited()
	l.Stack = 8 << 20
	if h.limited != nil {
		h.limited(&l)
	}
	if soft, ok := h.stackLimits[t.Group.TGID]; ok {
		l.Stack = soft
	}
	soft, hard = l.Of(r)
	return soft, hard, nil
}

func (h *fakeHost) SetStackLimit(t *Task, soft uint64) error {
	if h.stackLimits == nil {
		h.stackLimits = make(map[int]uint64)
	}
	h.stackLimits[t.Group.TGID] = soft
	return nil
}

func (h *fakeHost) Creds(*Task) (mm.Creds, error) {
	h.credsLooks++
	return mm.Creds{}, nil
}

func (h *fakeHost) Image(*Task) (Image, error) {
	return Image{StartBrk: 0x555555556000, Name: "guest"}, nil
}

func testConfig() *mm.Config {
	return &mm.Config{TaskSize: 0x7ffffffff000, MmapMinAddr: 4096, MaxMapCount: 65530, StackGuardGap: 1 << 20, THP: true, THPKnob: true}
}

// boot returns a kernel with one task, 100, that has just executed image.
func boot(t *testing.T) (*Kernel, *Task, *fakeHost) {
	t.Helper()
	h := &fakeHost{maps: map[int]string{}, files: map[int32]*mm.File{}}
	k := New(testConfig(), h)
	if _, err := k.Start(100); err != nil {
		t.Fatal(err)
	}
	task, _, err := k.Exec(100, 100)
	if err != nil {
		t.Fatal(err)
	}
	return k, task, h
}

func clone(t *testing.T, k *Kernel, parent *Task, tid int, flags uint64) *Task {
	t.Helper()
	c, err := k.Clone(parent, tid, flags)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func decide(t *testing.T, k *Kernel, task *Task, c Call) Verdict {
	t.Helper()
	v, err := k.Decide(task, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := task.MM().CheckInvariants(); err != nil {
		t.Fatal(err)
	}
	return v
}

func mmapCall(length uint64) Call {
	return Call{Nr: linux.SYS_MMAP, Observable: true, Args: [6]uint64{0, length,
		linux.PROT_READ | linux.PROT_WRITE, linux.MAP_PRIVATE | linux.MAP_ANONYMOUS, ^uint64(0), 0}}
}

func munmapCall(addr, length uint64) Call {
	return Call{Nr: linux.SYS_MUNMAP, Args: [6]uint64{addr, length}}
}

const threadFlags = linux.CLONE_VM | linux.CLONE_THREAD | linux.CLONE_SIGHAND

func TestMmapIsObserved(t *testing.T) {
	k, task, _ := boot(t)
	v := decide(t, k, task, mmapCall(0x3000))
	if v.Kind != Observe || v.Result.Addr != top-0x3000 {
		t.Fatalf("verdict %+v", v)
	}
	res, drift, err := k.Complete(task, top-0x3000)
	if err != nil || drift != nil || res.Addr != top-0x3000 {
		t.Fatalf("%+v, drift %v, error %v", res, drift, err)
	}
	if _, _, ok := task.MM().Find(top - 1); !ok {
		t.Error("the mapping is not in the model")
	}
}

func TestHostRefusalIsUndone(t *testing.T) {
	k, task, _ := boot(t)
	before := task.MM().Totals()
	decide(t, k, task, mmapCall(0x3000))
	res, drift, err := k.Complete(task, -int64(linux.ENOMEM))
	if err != nil || drift != nil || res.Errno != linux.ENOMEM {
		t.Fatalf("%+v, drift %v, error %v", res, drift, err)
	}
	if got := task.MM().Totals(); got != before {
		t.Errorf("totals are %+v, were %+v", got, before)
	}
}

// TestHostRefusalLeavesItsTraces: what the kernel had undone of the old mappings by the time that it
// refused a new one over them is taken over from its list.
func TestHostRefusalLeavesItsTraces(t *testing.T) {
	k, task, h := boot(t)
	old := mmapCall(0x4000)
	old.Args[0], old.Args[3] = 0x10000, old.Args[3]|linux.MAP_FIXED
	decide(t, k, task, old)
	h.maps[task.TID] = "00010000-00014000 rw-p 00000000 00:00 0 \n" + image
	if _, _, err := k.Complete(task, 0x10000); err != nil {
		t.Fatal(err)
	}
	shared := mmapCall(0x8000)
	shared.Args[0], shared.Args[3] = 0x12000, linux.MAP_SHARED|linux.MAP_ANONYMOUS|linux.MAP_FIXED
	decide(t, k, task, shared)
	h.maps[task.TID] = "00010000-00012000 rw-p 00000000 00:00 0 \n" + image
	if _, drift, err := k.Complete(task, -int64(linux.ENOMEM)); err != nil || drift != nil {
		t.Fatalf("drift %v, error %v", drift, err)
	}
	if r, _, ok := task.MM().Find(0x10000); !ok || r.End != 0x12000 {
		t.Errorf("the old mapping is %v", r)
	}
}

func TestOtherAddressIsDrift(t *testing.T) {
	k, task, h := boot(t)
	decide(t, k, task, mmapCall(0x1000))
	h.maps[100] = "10000000-10001000 rw-p 00000000 00:00 0 \n" + image
	_, drift, err := k.Complete(task, 0x10000000)
	if err != nil || drift == nil {
		t.Fatalf("drift %v, error %v", drift, err)
	}
	if _, _, ok := task.MM().Find(0x10000000); !ok {
		t.Error("the kernel's list was not adopted")
	}
	if _, _, ok := task.MM().Find(top - 1); ok {
		t.Error("the model's own choice is still there")
	}
}

func TestWrongErrnoIsDrift(t *testing.T) {
	k, task, _ := boot(t)
	c := mmapCall(0)
	if v := decide(t, k, task, c); v.Result.Errno != linux.EINVAL {
		t.Fatalf("verdict %+v", v)
	}
	if _, drift, err := k.Complete(task, -int64(linux.EOVERFLOW)); err != nil || drift == nil {
		t.Errorf("drift %v, error %v", drift, err)
	}
}

func TestBadDescriptor(t *testing.T) {
	k, task, _ := boot(t)
	for name, tc := range map[string]struct {
		offset uint64
		errno  linux.Errno
	}{
		"closed":                       {0, linux.EBADF},
		"closed, and offset unaligned": {1, linux.EINVAL}, // sys_mmap looks at the offset first
	} {
		t.Run(name, func(t *testing.T) {
			c := mmapCall(0x1000)
			c.Args[3], c.Args[4], c.Args[5] = linux.MAP_PRIVATE, 7, tc.offset
			if v := decide(t, k, task, c); v.Result.Errno != tc.errno {
				t.Errorf("verdict %+v", v)
			}
			if _, drift, err := k.Complete(task, -int64(tc.errno)); drift != nil || err != nil {
				t.Error(drift, err)
			}
		})
	}
}

// Another thread may exchange a descriptor between our look at it and the kernel's: then the
// kernel's answer is about another file, and is not drift.
func TestExchangedDescriptor(t *testing.T) {
	for name, tc := range map[string]struct {
		file *mm.File // what we saw; nil is a closed descriptor
		ret  int64
		maps string // what the kernel mapped
	}{
		"opened meanwhile": {nil, top - 0x1000, "7ffff7ffc000-7ffff7ffd000 r--p 00000000 fe:00 9 /other\n"},
		"closed meanwhile": {&mm.File{Dev: 0xfe00, Ino: 8, Readable: true}, -int64(linux.EBADF), ""},
		"another file":     {&mm.File{Dev: 0xfe00, Ino: 8, Readable: true}, top - 0x1000, "7ffff7ffc000-7ffff7ffd000 r--p 00000000 fe:00 9 /other\n"},
	} {
		t.Run(name, func(t *testing.T) {
			k, one, h := boot(t)
			clone(t, k, one, 101, threadFlags)
			if tc.file != nil {
				h.files[7] = tc.file
			}
			c := mmapCall(0x1000)
			c.Args[2], c.Args[3], c.Args[4] = linux.PROT_READ, linux.MAP_PRIVATE, 7
			decide(t, k, one, c)
			h.maps[100] = strings.Replace(image, "7ffff7ffd000-", tc.maps+"7ffff7ffd000-", 1)
			if _, drift, err := k.Complete(one, tc.ret); drift != nil || err != nil {
				t.Fatalf("drift %v, error %v", drift, err)
			}
			if drift, done, err := k.Verify(one); drift != nil || !done || err != nil {
				t.Errorf("drift %v, done %v, error %v", drift, done, err)
			}
		})
	}
}

func TestForkCopies(t *testing.T) {
	k, parent, _ := boot(t)
	child := clone(t, k, parent, 200, 0)
	decide(t, k, child, mmapCall(0x1000))
	if _, _, err := k.Complete(child, top-0x1000); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := parent.MM().Find(top - 1); ok {
		t.Error("the child's mapping is in the parent")
	}
	if child.Group == parent.Group {
		t.Error("the child is in its parent's thread group")
	}
}

func TestVforkShares(t *testing.T) {
	k, parent, _ := boot(t)
	child := clone(t, k, parent, 200, linux.CLONE_VM|linux.CLONE_VFORK)
	if child.MM() != parent.MM() {
		t.Fatal("the child has an address space of its own")
	}
	if _, _, err := k.Exec(200, 200); err != nil {
		t.Fatal(err)
	}
	if child.MM() == parent.MM() {
		t.Error("exec left the child in its parent's address space")
	}
	if !k.Last(parent) {
		t.Error("the parent still shares its address space")
	}
}

func TestExecByAnotherThread(t *testing.T) {
	k, leader, _ := boot(t)
	clone(t, k, leader, 101, threadFlags)
	clone(t, k, leader, 102, threadFlags)
	got, _, err := k.Exec(100, 101)
	if err != nil {
		t.Fatal(err)
	}
	if got.TID != 100 || k.Task(100) != got || k.Task(101) != nil {
		t.Errorf("after exec: task 100 is %p, 101 is %p, returned %p", k.Task(100), k.Task(101), got)
	}
}

func TestSeededAddresses(t *testing.T) {
	addr := func(seed uint64) hostarch.Addr {
		h := &fakeHost{maps: map[int]string{}}
		k := New(testConfig(), h)
		k.SetSeed(seed)
		if _, err := k.Start(1); err != nil {
			t.Fatal(err)
		}
		task, _, err := k.Exec(1, 1)
		if err != nil {
			t.Fatal(err)
		}
		v := decide(t, k, task, mmapCall(0x1000))
		if v.Kind != Rewrite || v.Args[0] != uint64(v.Result.Addr) || v.Args[3]&linux.MAP_FIXED_NOREPLACE == 0 {
			t.Fatalf("seed %d: %+v", seed, v)
		}
		if _, _, err := k.Complete(task, int64(v.Result.Addr)); err != nil {
			t.Fatal(err)
		}
		child := clone(t, k, task, 2, 0)
		if w := decide(t, k, child, mmapCall(0x1000)); w.Kind != Rewrite || w.Result.Addr != v.Result.Addr-0x1000 {
			t.Fatalf("seed %d, after fork: %+v", seed, w)
		}
		return v.Result.Addr
	}
	if a, b := addr(7), addr(7); a != b {
		t.Errorf("one seed, two addresses: %v and %v", a, b)
	}
	seen := map[hostarch.Addr]uint64{}
	for seed := range uint64(1000) {
		a := addr(seed)
		if a >= top || a < top-seedSpan<<hostarch.PageShift {
			t.Fatalf("seed %d: %v is out of bounds", seed, a)
		}
		if other, ok := seen[a]; ok {
			t.Errorf("seeds %d and %d give %v", seed, other, a)
		}
		seen[a] = seed
	}
}

// A process that does not let itself be looked at goes on: its calls run as they are.
func TestHidden(t *testing.T) {
	k, task, h := boot(t)
	h.hides = true
	task.space.dirty = true // the model has to look
	v := decide(t, k, task, mmapCall(0x1000))
	if !task.Hidden() || v.Kind != Observe || !v.Result.Unsure {
		t.Fatalf("hidden %v, verdict %+v", task.Hidden(), v)
	}
	if _, drift, err := k.Complete(task, 0x10000000); drift != nil || err != nil {
		t.Errorf("drift %v, error %v", drift, err)
	}
	if _, _, err := k.Verify(task); !errors.Is(err, ErrHidden) {
		t.Errorf("verified with %v", err)
	}
	child := clone(t, k, task, 200, 0)
	if !child.Hidden() {
		t.Error("its child is not hidden")
	}
	h.hides = false
	if _, _, err := k.Exec(200, 200); err != nil || child.Hidden() {
		t.Errorf("after exec: hidden %v, error %v", child.Hidden(), err)
	}
}

func TestPersonality(t *testing.T) {
	k, task, _ := boot(t)
	decide(t, k, task, Call{Nr: linux.SYS_PERSONALITY, Args: [6]uint64{linux.READ_IMPLIES_EXEC}})
	decide(t, k, task, Call{Nr: linux.SYS_PERSONALITY, Args: [6]uint64{linux.PERSONALITY_QUERY}})
	c := mmapCall(0x1000)
	c.Args[2] = linux.PROT_READ
	v := decide(t, k, task, c)
	_, vma, ok := task.MM().Find(v.Result.Addr)
	if !ok || vma.Flags&mm.VM_EXEC == 0 {
		t.Errorf("flags %#x", vma.Flags)
	}
}

func TestDriftExplains(t *testing.T) {
	d := &Drift{Call: munmapCall(0x1000, 0x2000), Model: mm.Result{}, Value: -int64(linux.EINVAL)}
	want := "munmap(0x1000, 0x2000, 0x0, 0x0, 0x0, 0x0): the model says 0x0, the kernel says EINVAL"
	if got := fmt.Sprint(d); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A segment that cannot be known before it is attached, since it may be one of huge pages, is taken
// over from the kernel's list, and detached whole.
func TestUnknownSegment(t *testing.T) {
	k, task, h := boot(t)
	v := decide(t, k, task, Call{Nr: linux.SYS_SHMAT, Observable: true, Args: [6]uint64{7}})
	if v.Kind != Observe || !v.Result.Unsure {
		t.Fatalf("verdict %+v", v)
	}
	h.maps[100] = strings.Replace(image, "7ffff7ffd000-", "7ffff7600000-7ffff7a00000 rw-s 00000000 00:0f 7 /SYSV00000000 (deleted)\n7ffff7ffd000-", 1)
	if _, drift, err := k.Complete(task, 0x7ffff7600000); drift != nil || err != nil {
		t.Fatalf("drift %v, error %v", drift, err)
	}
	_, vma, ok := task.MM().Find(0x7ffff7600000)
	if !ok || vma.Flags&mm.VM_HUGETLB == 0 || vma.File.Kind != mm.Hugetlb {
		t.Fatalf("attached as %+v", vma)
	}
	if v = decide(t, k, task, munmapCall(0x7ffff7800000, 0x200000)); v.Result.Errno != 0 {
		t.Fatal(v.Result.Errno)
	}
	if v = decide(t, k, task, Call{Nr: linux.SYS_SHMDT, Args: [6]uint64{0x7ffff7600000}}); v.Result.Errno != 0 {
		t.Fatal(v.Result.Errno)
	}
	if _, _, ok := task.MM().Find(0x7ffff7600000); ok {
		t.Error("it is still attached")
	}
}

// TestProcessMAdvise: advice by process_madvise is given range by range, up to the first that refuses.
func TestProcessMAdvise(t *testing.T) {
	const text = hostarch.Addr(0x555555554000)
	k, task, h := boot(t)
	h.ranges = []hostarch.AddrRange{
		{Start: text, End: text + 0x1000}, {Start: text - 0x1000, End: text}, {Start: text + 0x1000, End: text + 0x2000},
	}
	call := Call{Nr: linux.SYS_PROCESS_MADVISE, Observable: true, Args: [6]uint64{3, 0x1000, 3, linux.MADV_DONTFORK}}
	advise := func(ret int64) (first, second mm.Flags) {
		if v := decide(t, k, task, call); v.Kind != Observe || !v.Result.Unsure {
			t.Fatalf("%+v", v)
		}
		if _, drift, err := k.Complete(task, ret); drift != nil || err != nil {
			t.Fatal(drift, err)
		}
		_, a, _ := task.MM().Find(text)
		_, b, _ := task.MM().Find(text + 0x1000)
		return a.Flags & mm.VM_DONTCOPY, b.Flags & mm.VM_DONTCOPY
	}
	if a, b := advise(-int64(linux.EPERM)); a != 0 || b != 0 {
		t.Error("a refused call advised something")
	}
	h.maps[100] = strings.Replace(image, "-555555556000 r-xp 00000000 fe:00 1 /bin/guest\n",
		"-555555555000 r-xp 00000000 fe:00 1 /bin/guest\n555555555000-555555556000 r-xp 00001000 fe:00 1 /bin/guest\n", 1)
	if a, b := advise(0x1000); a == 0 || b != 0 {
		t.Errorf("advised: first page %v, second page %v", a != 0, b != 0)
	}

	// A call is about less than 2 GiB at most, whatever it asks for.
	const most = 1<<31 - hostarch.PageSize
	h.ranges = []hostarch.AddrRange{{Start: text - most + 0x1000, End: text + 0x2000}, {Start: text + 0x1000, End: text + 0x2000}}
	call.Args[3] = linux.MADV_DOFORK
	h.maps[100] = image[:len("555555554000-")] + "555555555000 r-xp 00000000 fe:00 1 /bin/guest\n555555555000-555555556000 r-xp 00001000 fe:00 1 /bin/guest\n" +
		image[strings.Index(image, "7ffff7ffd"):]
	decide(t, k, task, munmapCall(0x30000000, 0x1000))
	decide(t, k, task, Call{Nr: linux.SYS_MADVISE, Args: [6]uint64{uint64(text), 0x2000, linux.MADV_DONTFORK}})
	if a, b := advise(-int64(linux.ENOMEM)); a != 0 || b == 0 {
		t.Errorf("of more than there may be: first page %v, second page %v", a == 0, b == 0)
	}
}

// TestExecEndsThreads: an exec ends all other threads of its process, of whose ends nothing is heard.
func TestExecEndsThreads(t *testing.T) {
	k, task, _ := counted(t, 1000)
	used := k.ledger.Used()
	clone(t, k, task, 101, threadFlags)
	clone(t, k, task, 102, threadFlags)
	if _, _, err := k.Exec(100, 102); err != nil {
		t.Fatal(err)
	}
	if k.Len() != 1 || k.Task(100) == nil || k.Task(100).Group.tasks != 1 {
		t.Errorf("%d tasks", k.Len())
	}
	if k.ledger.Used() != used {
		t.Errorf("%d pages are charged, want %d", k.ledger.Used(), used)
	}
}

// TestLowAddressesNeedCreds: whether memory below vm.mmap_min_addr may be had, or may grow, is for
// CAP_SYS_RAWIO to say, which a thread may have dropped meanwhile. (Whole programs, seed 1128011.)
func TestLowAddressesNeedCreds(t *testing.T) {
	const low, high = 0x1000, 0x10000000
	for name, x := range map[string]struct {
		call  Call
		looks int
	}{
		"mmap":                            {Call{Nr: linux.SYS_MMAP, Args: [6]uint64{low, 0x1000, 0, linux.MAP_PRIVATE | linux.MAP_ANONYMOUS | linux.MAP_FIXED}}, 1},
		"mremap in place":                 {Call{Nr: linux.SYS_MREMAP, Args: [6]uint64{low, 0x1000, 0x2000}}, 1},
		"mremap to there":                 {Call{Nr: linux.SYS_MREMAP, Args: [6]uint64{high, 0x1000, 0x1000, linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED, low}}, 1},
		"mremap elsewhere":                {Call{Nr: linux.SYS_MREMAP, Args: [6]uint64{high, 0x1000, 0x2000}}, 0},
		"shmat":                           {Call{Nr: linux.SYS_SHMAT, Args: [6]uint64{1, low}}, 1},
		"remap_file_pages":                {Call{Nr: linux.SYS_REMAP_FILE_PAGES, Args: [6]uint64{low, 0x1000}}, 1},
		"remap_file_pages elsewhere":      {Call{Nr: linux.SYS_REMAP_FILE_PAGES, Args: [6]uint64{high, 0x1000}}, 0},
		"mmap where the kernel chooses":   {mmapCall(0x1000), 0},
		"a call that asks for no address": {munmapCall(low, 0x1000), 0},
	} {
		t.Run(name, func(t *testing.T) {
			k, task, h := boot(t)
			h.credsLooks = 0
			x.call.Observable = true
			decide(t, k, task, x.call)
			if h.credsLooks != x.looks {
				t.Errorf("looked %d times, want %d", h.credsLooks, x.looks)
			}
		})
	}
}
