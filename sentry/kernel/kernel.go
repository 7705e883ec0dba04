// Package kernel knows the tasks of one sandbox, which of them share an address space, and what
// each of their memory calls does. It decodes a stopped call, has mm.MemoryManager decide it, and
// says what is to happen to it. It is pure: everything it needs from the machine comes through
// Host, and its caller serialises all use of one Kernel.
//
// A call goes through these steps:
//
//	Decide ── Run ──────────────────────────────► in flight until the task is seen again (Settle)
//	       ── Observe, Rewrite ──► Complete(ret)   the outcome is known: kept, adopted or undone
//	       ── Refuse                               nothing was changed
//	       ── Wait ──► ... ──► Decide again        another task's call must end first
package kernel

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/procmaps"
	"github.com/runsbx/runsbx/sentry/wx"
)

// Host answers what only the machine knows. Errors other than linux.Errno values mean that the
// task is gone or cannot be looked at.
type Host interface {
	// File returns the open file behind descriptor fd of the task, or EBADF.
	File(t *Task, fd int32) (*mm.File, error)
	// Segment returns the System V shared memory segment with this identifier.
	Segment(t *Task, id int32) (Segment, error)
	// Segments returns the sizes, in bytes, and creators (process ids) of all System V segments of the
	// task's IPC namespace; EINVAL where that is not ours. A nil task stands for our own.
	Segments(t *Task) (map[int32]SegmentInfo, error)
	// Ranges returns the n ranges that the task's array of struct iovec at addr names. The task may
	// change them at any time.
	Ranges(t *Task, addr hostarch.Addr, n uint64) ([]hostarch.AddrRange, error)
	// Maps returns the kernel's own list of the task's mappings, ascending.
	Maps(t *Task) ([]procmaps.Entry, error)
	// Limit returns the limits of the task's process on AS, Data, Stack or MemLock.
	Limit(t *Task, r limits.Resource) (soft, hard uint64, err error)
	// SetStackLimit makes the soft RLIMIT_STACK of the task's process soft bytes.
	SetStackLimit(t *Task, soft uint64) error
	// Creds returns what the task's credentials permit.
	Creds(t *Task) (mm.Creds, error)
	// HasLeft reports whether the task is known to have left system call nr, which it was in at
	// some time before: it waits in another one now. False says nothing.
	HasLeft(t *Task, nr uint64) bool
	// Gone reports whether the task has given up its address space, and nothing is left of that if it was
	// the last: it is ending. False says nothing.
	Gone(t *Task) bool
	// EndedFiles returns the inodes that may have ended since the last time, of those that are charged:
	// one that had several names is told of when the last reference by one of them goes.
	EndedFiles() []FileID
	// HasOpen reports whether the task has a descriptor of the file.
	HasOpen(t *Task, id FileID) bool
	// Image returns what the task's exec placed outside the list of mappings.
	Image(t *Task) (Image, error)
	// Changeable reports whether programs of the sandbox can change what is in the file, which is
	// mapped, or have been able to since they run (W^X). In doubt they can.
	Changeable(t *Task, f *mm.File) (bool, error)
}

// ErrHidden is what a Host's errors wrap when the kernel does not let us look into a task although
// it is alive: to an ordinary user, a process that is not dumpable (PR_SET_DUMPABLE, or a program
// file without read permission) shows nothing.
var ErrHidden = errors.New("the process is not dumpable, and does not let itself be looked at")

// ErrGone is what a Host's errors wrap when the task has no address space any more: it has been
// killed, and its end is about to be reported.
var ErrGone = errors.New("the task is ending")

// Segment is a System V shared memory segment as a task sees it.
type Segment struct {
	File      *mm.File
	Allowed   uint32 // what the task may do with it: read (4), write (2), execute (1)
	MayBeHuge bool   // it may be one of huge pages, unless it was made before our eyes
}

// SegmentInfo is what there is to know of a segment without looking into it.
type SegmentInfo struct {
	Size    uint64 // bytes
	Creator int    // process id
}

// Image is what exec sets up besides the mappings.
type Image struct {
	StartData, EndData hostarch.Addr // the program's data segment
	StartBrk           hostarch.Addr // where the heap starts
	Personality        uint64        // the process's execution domain and flags
	Name               string        // the program's name (comm)
	Trusted            bool          // the program may execute what it has written (W^X)
}

// Kernel is the tasks of one sandbox. New makes one.
type Kernel struct {
	cfg    *mm.Config
	host   Host
	seeded bool
	seed   uint64
	layout *mm.Layout // nil: as each exec has it
	// ownMapCount: cfg.MaxMapCount is below the host's, so that the host does not enforce it.
	ownMapCount bool
	hard        *limits.Rlimits // what no hard limit may be raised above; nil where there is nothing
	raised      []Raised        // see TakeRaised
	overdrawn   []Overdrawn     // see TakeOverdrawn
	tasks       map[int]*Task
	wake        []int // tasks whose wait is over; see TakeWakeups

	maker    int                  // see SetMaker
	maxTasks uint64               // tasks that there may be at a time; 0 is no limit
	ledger   *limits.Ledger       // what all have committed together; nil: it is not counted
	objects  map[*mm.File]*object // what is charged to it besides address spaces
	segments map[int32]uint64     // and System V segments, by identifier; pages
	files    map[FileID]*memoryFile
	nameless []FileID // of these, files that may have ended, and were still in use

	wx    wx.Mode
	found []wx.Finding // see TakeFindings

	hugeSegments map[int32]uint64 // size of the huge pages of System V segments that have them

	// Peaks over all processes so far.
	Peaks Peaks
}

// Peaks are the largest values that any one address space reached, in bytes (MapCount: VMAs).
type Peaks struct {
	MapCount                  int
	TotalVM, LockedVM, DataVM uint64
}

// New returns a Kernel without tasks. cfg is its own from then on.
func New(cfg *mm.Config, host Host) *Kernel {
	return &Kernel{cfg: cfg, host: host, tasks: make(map[int]*Task)}
}

// SetSeed makes every address that the manager chooses follow from seed. It is called before the
// first task.
func (k *Kernel) SetSeed(seed uint64) { k.seeded, k.seed = true, seed }

// SetLayout makes every search for free addresses go as l says. It is called before the first task.
func (k *Kernel) SetLayout(l mm.Layout) { k.layout = &l }

// SetMapCount lets no address space have more than n VMAs, as vm.max_map_count does, unless the
// host's own limit is lower. It is called before the first task.
func (k *Kernel) SetMapCount(n uint64) {
	if n < uint64(k.cfg.MaxMapCount) {
		k.cfg.MaxMapCount, k.ownMapCount = int(n), true
	}
}

// SetMaker says that process pid makes System V segments in place of the tasks.
func (k *Kernel) SetMaker(pid int) { k.maker = pid }

// Reconfigure takes over settings of the host that have changed.
func (k *Kernel) Reconfigure(cfg mm.Config) {
	own, n := k.ownMapCount, k.cfg.MaxMapCount
	*k.cfg, k.ownMapCount = cfg, false
	if own {
		k.SetMapCount(uint64(n))
	}
}

// Task is one thread.
type Task struct {
	TID   int
	Group *ThreadGroup
	space *space
	table *descriptors
	passage
	call pending // decided, and its outcome is not known yet

	personality uint64        // each thread has its own
	lastFault   hostarch.Addr // page below a stack at which it was let try again
	cloning     bool          // it is making another task, which is not there yet
	handsDown   bool          // which will be watched, as its group was when that began
	leaving     bool          // it is about to end
	stretches   bool          // it is in an exec, under a higher RLIMIT_STACK than its stacks are charged by
}

// ThreadGroup is one process.
type ThreadGroup struct {
	TGID   int
	Name   string // the program's name, for messages
	caller mm.Caller
	tasks  int

	// Watched: all calls of the process that may make memory files grow are stopped, and those of all
	// that it makes. So it has to be before it can have a descriptor of one that it may write to.
	Watched bool

	// clamped: the host has clamp for the process's RLIMIT_STACK in place of stackLimit, in bytes.
	clamped           bool
	clamp, stackLimit uint64
}

// MM returns the task's address space.
func (t *Task) MM() *mm.MemoryManager { return t.space.mm }

// Task returns the task with this thread id, or nil.
func (k *Kernel) Task(tid int) *Task { return k.tasks[tid] }

// Len returns the number of living tasks.
func (k *Kernel) Len() int { return len(k.tasks) }

// Processes returns the process ids of the sandbox.
func (k *Kernel) Processes() (tgids []int) {
	for tid, t := range k.tasks {
		if tid == t.Group.TGID {
			tgids = append(tgids, tid)
		}
	}
	return tgids
}

// Threads returns the thread ids of the sandbox.
func (k *Kernel) Threads() []int { return slices.Collect(maps.Keys(k.tasks)) }

// Start adds the first task of the sandbox; its first Exec follows.
func (k *Kernel) Start(tid int) (*Task, error) {
	t := &Task{TID: tid, Group: &ThreadGroup{TGID: tid, tasks: 1}}
	t.space = &space{mm: mm.New(k.cfg), users: 1}
	t.table = &descriptors{users: 1}
	k.tasks[tid] = t
	for _, r := range limits.PerProcess() {
		if err := k.readLimit(t, r); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Clone adds the child that parent made with these clone flags (kernel_clone, copy_mm).
func (k *Kernel) Clone(parent *Task, childTID int, flags uint64) (*Task, error) {
	parent.cloning = false
	child := &Task{TID: childTID, personality: parent.personality}
	if flags&linux.CLONE_THREAD != 0 {
		child.Group = parent.Group
		child.Group.tasks++
	} else {
		g := *parent.Group
		g.TGID, g.tasks, g.Watched = childTID, 1, parent.handsDown
		child.Group = &g
	}
	k.tasks[childTID] = child
	child.table = &descriptors{users: 1}
	if flags&linux.CLONE_FILES != 0 {
		child.table = parent.table
		child.table.users++
	}
	if flags&linux.CLONE_VM != 0 {
		child.space = parent.space
		child.space.users++
		if flags&linux.CLONE_THREAD != 0 {
			return child, nil
		}
		return child, k.inheritClamp(child)
	}
	child.space = &space{
		mm: parent.space.mm.Fork(), users: 1,
		rewrite: parent.space.rewrite, hidden: parent.space.hidden,
		policies: slices.Clone(parent.space.policies), // its model has not got them either
		history:  parent.space.history.Clone(), trusted: parent.space.trusted,
	}
	if parent.space.pending == parent {
		k.settle(parent) // it was reserved for this
	}
	child.space.stackMax = parent.space.stackMax
	k.recount(child.space)
	if err := k.inheritClamp(child); err != nil {
		return nil, err
	}
	if parent.space.users > 1 || parent.space.dirty {
		// Other threads' calls may have run before or after the copy was made: the child
		// is stopped and alone in its address space, so its own list says which.
		if err := k.reconcile(child); err != nil {
			return nil, err
		}
	}
	k.note(child.space)
	return child, nil
}

// inheritClamp has a new process have the RLIMIT_STACK that its parent is known to have: the kernel may
// have copied the parent's before that was lowered.
func (k *Kernel) inheritClamp(child *Task) error {
	if g := child.Group; g.clamped {
		return k.host.SetStackLimit(child, g.clamp)
	}
	return nil
}

// Exec gives the task the address space of its new image (begin_new_exec), which replaces the
// task formerly known as former: the leader's id goes to whichever thread executed. The refusal says
// why the new image may not be: it has run nothing yet, and must not.
func (k *Kernel) Exec(tid, former int) (*Task, *limits.Refusal, error) {
	t := k.tasks[former]
	if t == nil {
		return nil, nil, fmt.Errorf("exec of unknown task %d", former)
	}
	k.release(t)
	t.table = &descriptors{users: 1}
	if tid != former {
		delete(k.tasks, former)
		if old := k.tasks[tid]; old != nil {
			k.Exit(old)
		}
		t.TID = tid
		k.tasks[tid] = t
	}
	for _, o := range k.tasks {
		if o != t && o.Group == t.Group {
			k.Exit(o) // their ends are not reported
		}
	}
	switch err := k.load(t); {
	case errors.Is(err, ErrHidden) && !k.mustSee():
		t.space.hidden = true
		return t, nil, nil
	case err != nil:
		return nil, nil, err
	}
	if why := k.chargeImage(t); why != nil {
		return t, why, nil
	}
	why, err := k.judgeImage(t)
	return t, why, err
}

// load gives the task the address space that its exec has made.
func (k *Kernel) load(t *Task) error {
	before := t.space.mm
	t.space = &space{mm: mm.New(k.cfg), users: 1}
	img, err := k.host.Image(t)
	if err != nil {
		return err
	}
	entries, err := k.host.Maps(t)
	if err != nil {
		return err
	}
	if t.Group.caller.Creds, err = k.host.Creds(t); err != nil {
		return err
	}
	t.Group.Name, t.space.trusted = img.Name, img.Trusted
	t.personality = img.Personality
	info := mm.SeedInfo{
		StartBrk: img.StartBrk, Brk: img.StartBrk, StartData: img.StartData, EndData: img.EndData,
		StackLimit:  t.imageStackLimit(),
		NoRandomize: img.Personality&linux.ADDR_NO_RANDOMIZE != 0 || k.cfg.NoRandomize,
		Inherit:     before,
	}
	// x86's mmap_is_legacy. Unlike elsewhere, an unlimited stack does not ask for it.
	if img.Personality&linux.ADDR_COMPAT_LAYOUT != 0 || k.cfg.LegacyLayout {
		info.Layout = mm.BottomUp
	}
	if err := t.space.mm.Seed(entries, info); err != nil {
		return err
	}
	if m := t.space.mm; k.layout != nil && *k.layout != info.Layout {
		t.space.rewrite = true
		m.SetLayout(*k.layout)
	}
	if m := t.space.mm; k.seeded && m.MmapBase() != 0 {
		t.space.rewrite = true
		m.SetMmapBase(seededBase(m.MmapBase(), m.Layout(), k.seed))
	}
	k.note(t.space)
	return nil
}

// Exit removes a task that has ended.
func (k *Kernel) Exit(t *Task) {
	if k.tasks[t.TID] != t {
		return
	}
	k.unfinishedLimits(t)
	delete(k.tasks, t.TID)
	t.Group.tasks--
	k.release(t)
}

// TakeWakeups returns the tasks whose wait is over since the last time; their calls are to be
// decided again.
func (k *Kernel) TakeWakeups() []int {
	w := k.wake
	k.wake = nil
	return w
}

// seedSpan is how far from its natural place a seeded mmap_base may lie: 2^28 pages, the width of the
// kernel's own randomization (vm.mmap_rnd_bits).
const seedSpan = 1 << 28

// seededBase returns the page-aligned mmap_base that follows from seed: below the natural one where
// the search goes down from it, else above.
func seededBase(base hostarch.Addr, l mm.Layout, seed uint64) hostarch.Addr {
	// splitmix64: neighbouring seeds give unrelated layouts.
	z := seed + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	off := hostarch.Addr(z%seedSpan) << hostarch.PageShift
	if l == mm.TopDown {
		return base - off
	}
	return base + off
}

// note keeps the peaks.
func (k *Kernel) note(s *space) {
	tot := s.mm.Totals()
	p := &k.Peaks
	p.MapCount = max(p.MapCount, tot.MapCount)
	p.TotalVM = max(p.TotalVM, tot.TotalVM<<hostarch.PageShift)
	p.LockedVM = max(p.LockedVM, tot.LockedVM<<hostarch.PageShift)
	p.DataVM = max(p.DataVM, tot.DataVM<<hostarch.PageShift)
}
