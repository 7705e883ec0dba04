package kernel

import (
	"errors"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/wx"
)

// Call is a stopped system call.
type Call struct {
	Nr   uint64
	Args [6]uint64
	// Observable: the call can be followed to its end, and rewritten.
	Observable bool
	// IP and SP are where it is made; no decision depends on them. SP is 0 when it is not known.
	IP, SP uint64
}

// VerdictKind says what becomes of a call.
type VerdictKind uint8

const (
	// Run runs the call unchanged; its outcome is certain.
	Run VerdictKind = iota
	// Observe runs the call unchanged and hands its outcome to Complete.
	Observe
	// Rewrite is Observe with Verdict.Args in place of the call's own.
	Rewrite
	// Refuse answers the call with Verdict.Result.Errno without running it.
	Refuse
	// Wait keeps the call waiting until Kernel.TakeWakeups returns its task.
	Wait
)

// String returns the kind's name as the trace has it.
func (v VerdictKind) String() string {
	switch v {
	case Run, Observe:
		return "allow"
	case Rewrite:
		return "rewrite"
	case Refuse:
		return "refuse"
	}
	return "wait"
}

// Verdict is the answer to a call.
type Verdict struct {
	Kind   VerdictKind
	Result mm.Result // what the manager decided
	Args   [6]uint64 // for Rewrite
	// WaitFor is, for Wait, the task whose call must first be proved over, or 0 when its end
	// is going to be reported anyway.
	WaitFor int
}

// errnoOf splits an error of the Host into the guest's errno and a failure of the host.
func errnoOf(err error) (linux.Errno, error) {
	var e linux.Errno
	if errors.As(err, &e) {
		return e, nil
	}
	return 0, err
}

// Decide decides a call that task t is about to make. The error is a failure of the host.
func (k *Kernel) Decide(t *Task, c Call) (Verdict, error) {
	k.Settle(t)
	s := t.space
	if s.hidden && k.mustSee() {
		return Verdict{}, ErrHidden
	}
	if s.pending != nil && s.pending != t {
		s.waiters = append(s.waiters, t.TID)
		return Verdict{Kind: Wait}, nil
	}
	asked := c
	if c.Nr == linux.SYS_MMAP && k.never() && c.Args[3]&linux.MAP_HUGETLB == 0 {
		// The host may be in another mode, in which it would not count such a mapping.
		c.Args[3] &^= linux.MAP_NORESERVE
	}
	protect := k.deferExec(t, &c)
	ext := callExtent(&c)
	if o := k.firstBusy(func() *Task { return s.conflict(t, ext) }); o != nil {
		s.waiters = append(s.waiters, t.TID)
		return Verdict{Kind: Wait, WaitFor: o.TID}, nil
	}
	if s.dirty && !s.hidden {
		// What the last call left behind only the kernel's list says, and that can be compared only
		// while no other call is on its way.
		if o := k.firstBusy(func() *Task { return s.other(t) }); o != nil {
			s.waiters = append(s.waiters, t.TID)
			return Verdict{Kind: Wait, WaitFor: o.TID}, nil
		}
		if err := k.reconcile(t); err != nil {
			return Verdict{}, err
		}
	}
	if k.needsStacks(t, &c, ext.AddrRange) {
		if err := k.followStacks(t); err != nil {
			return Verdict{}, err
		}
	}
	persona := t.personality
	t.call = pending{call: c, extent: ext, stackLimit: t.Group.stackLimit, clamped: t.Group.clamped, protect: protect}
	k.remember(t)
	res, err := k.tryCall(t)
	if err != nil {
		return Verdict{}, err
	}
	// Where it cannot be undone, it is looked at when the call is over.
	guess := k.belowStack(t, &c, res)
	if guess && t.call.undoable {
		guess = false
		t.undo()
		if err := k.followStacks(t); err != nil {
			return Verdict{}, err
		}
		if res, err = k.tryCall(t); err != nil {
			return Verdict{}, err
		}
	}
	if c.Nr == linux.SYS_MREMAP && res.Errno == linux.EFAULT {
		// Whether a range lies in one VMA depends on boundaries that only the kernel knows, and that can
		// be looked at only while no other call is on its way.
		if o := k.firstBusy(func() *Task { return s.other(t) }); o != nil {
			t.undo()
			s.waiters = append(s.waiters, t.TID)
			return Verdict{Kind: Wait, WaitFor: o.TID}, nil
		}
		if changed, err := k.adoptBoundaries(t); err != nil {
			return Verdict{}, err
		} else if changed {
			if res, err = k.tryCall(t); err != nil {
				return Verdict{}, err
			}
		}
	}
	if res.Unsure && c.Observable {
		t.undo() // it may have found out half-way
	}
	why := k.refusal(s, &c, ext, res)
	if why == nil {
		why = k.uncountable(t, &c)
	}
	if why == nil {
		if why, err = k.judge(t, res); err != nil {
			return Verdict{}, err
		}
	}
	if why != nil {
		t.personality = persona
		return k.refuse(t, why), nil
	}
	if failed, ok := k.failsUnrun(t, res); ok {
		t.undo()
		return Verdict{Kind: Refuse, Result: failed}, nil
	}
	t.call.result = res
	if chosen := chosenRange(&c, res); chosen.Length() > 0 {
		t.call.extent.AddrRange = chosen
		if o := k.firstBusy(func() *Task { return s.conflict(t, t.call.extent) }); o != nil {
			t.undo()
			s.waiters = append(s.waiters, t.TID)
			return Verdict{Kind: Wait, WaitFor: o.TID}, nil
		}
	}
	why, busy := k.charge(t, res)
	switch {
	case busy != nil:
		t.undo()
		return k.waitFor(t, busy), nil
	case why != nil:
		v := k.refuse(t, why)
		if k.squeeze(s, t) {
			return k.Decide(t, asked)
		}
		return v, nil
	}
	k.note(s)
	if !c.Observable {
		switch {
		case guess, res.Unsure, res.Guess, res.Refusal != nil: // a limit may be raised before the kernel looks
			s.dirty = true
		default:
			k.remap(t, res)
		}
		if c.Nr == linux.SYS_MMAP {
			// Where the kernel puts it, or another thread's next mapping, depends on all that there is.
			t.call.extent.all = true
		}
		s.launch(t)
		return Verdict{Kind: Run, Result: res}, nil
	}
	s.pending = t
	if s.rewrite && res.Errno == 0 && !res.Unsure {
		if a, ok := rewritten(&c, res); ok {
			return Verdict{Kind: Rewrite, Result: res, Args: a}, nil
		}
	}
	if c.Args != asked.Args {
		return Verdict{Kind: Rewrite, Result: res, Args: c.Args}, nil
	}
	return Verdict{Kind: Observe, Result: res}, nil
}

// tryCall decides t's call by the model as it now is.
func (k *Kernel) tryCall(t *Task) (mm.Result, error) {
	s, c := t.space, &t.call.call
	var err error
	if !s.hidden {
		err = k.refreshCaller(t, c) // this may find that a stack has grown, which is not undone with the call
	}
	// Nodes of a tree that was snapshot are copied when they are next written, so that it is not done where nothing
	// can have to be undone: neither does the host answer, nor a limit of ours, nor is another call in the way.
	if c.Observable || k.limited() || k.wx == wx.Deny || s.other(t) != nil {
		t.call.undo, t.call.undoable = s.mm.Snapshot(), true
	}
	if s.hidden && k.mustSee() {
		return mm.Result{}, ErrHidden // which was found just now, when something was looked up
	}
	if s.hidden {
		return mm.Result{Unsure: true}, nil
	}
	var res mm.Result
	if err == nil {
		res, err = k.apply(t, c)
	}
	if errors.Is(err, ErrHidden) && !k.mustSee() {
		s.hidden = true
		return mm.Result{Unsure: true}, nil
	}
	return res, err
}

// firstBusy returns the first task in the way that may still be in its call. A thread that waits in
// another call by now need not be made to stop, which some calls answer with EINTR.
func (k *Kernel) firstBusy(inTheWay func() *Task) *Task {
	for {
		o := inTheWay()
		if o == nil || !k.host.HasLeft(o, o.call.call.Nr) {
			return o
		}
		k.Settle(o)
	}
}

// callExtent returns what the call names of the address space; what get_unmapped_area chooses is
// added later.
func callExtent(c *Call) extent {
	at := func(addr, length uint64) extent {
		start := hostarch.Addr(addr).RoundDown()
		end := hostarch.Addr(addr + length).RoundUp()
		if end < start {
			return extent{all: true}
		}
		return extent{AddrRange: hostarch.AddrRange{Start: start, End: end}}
	}
	a := &c.Args
	switch c.Nr {
	case linux.SYS_MMAP:
		switch {
		case a[3]&(linux.MAP_FIXED|linux.MAP_FIXED_NOREPLACE) != 0:
			return at(a[0], a[1])
		case a[1] >= hostarch.HugePageSize:
			// The search is for more than what is mapped then (thp_get_unmapped_area).
			return extent{all: true}
		}
		return extent{} // touches nothing yet
	case linux.SYS_MREMAP:
		if a[3]&linux.MREMAP_FIXED != 0 || a[2] >= hostarch.HugePageSize {
			return extent{all: true}
		}
		return at(a[0], max(a[1], a[2]))
	case linux.SYS_MUNMAP, linux.SYS_MPROTECT, linux.SYS_PKEY_MPROTECT, linux.SYS_MADVISE, linux.SYS_MLOCK,
		linux.SYS_MLOCK2, linux.SYS_MUNLOCK, linux.SYS_MSYNC, linux.SYS_MSEAL, linux.SYS_MBIND,
		linux.SYS_SET_MEMPOLICY_HOME_NODE, linux.SYS_REMAP_FILE_PAGES:
		return at(a[0], a[1])
	case linux.SYS_PRCTL:
		if uint32(a[0]) == linux.PR_SET_VMA {
			return at(a[2], a[3])
		}
	case linux.SYS_PERSONALITY, linux.SYS_SETRLIMIT, linux.SYS_PRLIMIT64, linux.SYS_SHMGET:
		return extent{}
	}
	return extent{all: true}
}

// chosenRange returns the range of an address that the manager chose, or an empty range.
func chosenRange(c *Call, res mm.Result) hostarch.AddrRange {
	if res.Errno != 0 || res.Unsure {
		return hostarch.AddrRange{}
	}
	switch c.Nr {
	case linux.SYS_MMAP:
		return hostarch.Range(res.Addr, hostarch.PageAlign(c.Args[1]))
	case linux.SYS_MREMAP:
		return hostarch.Range(res.Addr, hostarch.PageAlign(c.Args[2]))
	}
	return hostarch.AddrRange{}
}

// rewritten returns the call's arguments with the manager's own choice of address, so that the
// host installs the mapping there or reports that it is taken.
func rewritten(c *Call, res mm.Result) ([6]uint64, bool) {
	a := c.Args
	switch c.Nr {
	case linux.SYS_MMAP:
		if a[3]&(linux.MAP_FIXED|linux.MAP_FIXED_NOREPLACE) != 0 {
			return a, false
		}
		a[0], a[3] = uint64(res.Addr), a[3]|linux.MAP_FIXED_NOREPLACE
		return a, true
	case linux.SYS_MREMAP:
		if a[3]&linux.MREMAP_FIXED != 0 || uint64(res.Addr) == a[0] {
			return a, false
		}
		a[3], a[4] = a[3]|linux.MREMAP_FIXED|linux.MREMAP_MAYMOVE, uint64(res.Addr)
		return a, true
	case linux.SYS_SHMAT:
		if a[1] != 0 {
			return a, false
		}
		a[1] = uint64(res.Addr)
		return a, true
	}
	return a, false
}
