package kernel

import (
	"errors"
	"fmt"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/procmaps"
)

// Drift says that the kernel answered a call otherwise than the model did.
type Drift struct {
	Call    Call
	Model   mm.Result
	Value   int64           // what the kernel returned
	Differs []mm.Difference // or where the lists of mappings differ
}

// Error returns the difference on one line per mapping.
func (d *Drift) Error() string {
	s := fmt.Sprintf("%s(%#x, %#x, %#x, %#x, %#x, %#x)", linux.SyscallName(d.Call.Nr),
		d.Call.Args[0], d.Call.Args[1], d.Call.Args[2], d.Call.Args[3], d.Call.Args[4], d.Call.Args[5])
	if len(d.Differs) == 0 {
		return fmt.Sprintf("%s: the model says %s, the kernel says %s", s, outcome(d.Model), outcome(ValueResult(d.Value)))
	}
	s = "after " + s + ", the list of mappings:"
	for _, x := range d.Differs {
		s += "\n  " + x.String()
	}
	return s
}

func outcome(r mm.Result) string {
	if r.Errno != 0 {
		return r.Errno.Name()
	}
	return fmt.Sprintf("%#x", uint64(r.Addr))
}

// maxErrno is the largest errno that a system call returns, negated (MAX_ERRNO).
const maxErrno = 4095

// ValueResult turns a system call's return value into a Result.
func ValueResult(ret int64) mm.Result {
	if ret < 0 && ret >= -maxErrno {
		return mm.Result{Errno: linux.Errno(-ret)}
	}
	return mm.Result{Addr: hostarch.Addr(ret)}
}

// Complete records that the observed call of task t returned ret: what was decided is kept,
// adopted or undone. It returns the outcome, with the limit that explains it where one does, and
// a *Drift when the kernel's answer is not one that the model
// allows for, and the model has then adopted the kernel's. A call that is refused although the kernel
// granted it (see Raised) is to return the outcome. The error is a failure of the host.
func (k *Kernel) Complete(t *Task, ret int64) (mm.Result, *Drift, error) {
	s := t.space
	if s.pending != t {
		return mm.Result{}, nil, fmt.Errorf("task %d ended a call that it was not in", t.TID)
	}
	s.pending = nil
	res, drift, err := k.complete(t, ret)
	k.remap(t, res)
	k.settle(t)
	k.recount(s)
	k.wakeAll(s)
	return res, drift, err
}

func (k *Kernel) complete(t *Task, ret int64) (mm.Result, *Drift, error) {
	s, p := t.space, &t.call
	got := ValueResult(ret)
	switch {
	case got.Errno.Restarts():
		// A signal, perhaps only the stop by which the engine proves things, interrupted it (mremap
		// and madvise of memory that KSM has merged, unmerge_ksm_pages). It is going to begin again,
		// and to be decided anew.
		t.undo()
		return got, nil, k.catchUp(t)
	case p.call.Nr == linux.SYS_SETRLIMIT || p.call.Nr == linux.SYS_PRLIMIT64:
		why, err := k.adoptLimits(t, got)
		if why != nil {
			got = mm.Result{Errno: why.Errno, Refusal: why}
		}
		return got, nil, err
	case p.result.Unsure:
		return got, nil, k.adopt(t, got)
	case p.result.Errno == got.Errno && (got.Errno != 0 || p.result.Addr == got.Addr):
		return p.result, nil, k.settleMerge(t)
	case s.descriptorShared(&p.call):
		// Another thread may have put another file behind the descriptor after we looked: the
		// kernel's answer is about what it found.
		if p.result.Errno == 0 {
			t.undo()
		}
		return got, nil, k.catchUp(t)
	case p.result.Errno == 0 && hostRefuses(got.Errno):
		// The model has no objection, but the machine is short of something. The model forgets
		// that it had agreed; what the kernel had done by then (VMAs that were split, a gap where
		// a fixed mapping was to be), its list says.
		t.undo()
		return got, nil, k.catchUp(t)
	}
	if got.Errno != 0 && p.result.Errno == 0 {
		t.undo()
	}
	if same, err := k.acrossBoundary(t, got); same || err != nil {
		return got, nil, err
	}
	d := &Drift{Call: p.call, Model: p.result, Value: ret}
	return got, d, k.catchUp(t)
}

// acrossBoundary reports whether the kernel refused an mremap because the range crosses a boundary
// between VMAs that the model does not have and cannot know: with the kernel's boundaries, the model
// gives the same answer. While another call is on its way that cannot be found out. Nothing has been
// changed yet.
func (k *Kernel) acrossBoundary(t *Task, got mm.Result) (bool, error) {
	s, p := t.space, &t.call
	if p.call.Nr != linux.SYS_MREMAP || got.Errno != linux.EFAULT {
		return false, nil
	}
	if !s.quiet(t) {
		return true, k.catchUp(t)
	}
	if changed, err := k.adoptBoundaries(t); !changed || err != nil {
		return false, err
	}
	before := s.mm.Snapshot()
	res, err := k.apply(t, &p.call)
	s.mm.Restore(before)
	return err == nil && !res.Unsure && res.Errno == got.Errno, err
}

// adoptBoundaries takes over where the kernel's VMAs end, if its list differs from the model in
// nothing else, and reports whether any did.
func (k *Kernel) adoptBoundaries(t *Task) (changed bool, err error) {
	entries, err := k.maps(t)
	if entries == nil || len(t.space.mm.Diff(entries)) != 0 {
		return false, err
	}
	changed = t.space.mm.Reconcile(entries) != 0
	k.recount(t.space)
	return changed, nil
}

// hostRefuses reports whether errno can come from the machine rather than from a rule: memory or
// locks are exhausted, or the task is being killed.
func hostRefuses(e linux.Errno) bool {
	return e == linux.ENOMEM || e == linux.EAGAIN || e == linux.EINTR
}

// adopt takes over the host's answer to a call that the model could not decide.
func (k *Kernel) adopt(t *Task, got mm.Result) error {
	s, p := t.space, &t.call
	if p.call.Nr == linux.SYS_SHMGET {
		k.adoptSegment(t, got)
		return nil
	}
	if s.hidden {
		return nil
	}
	m, g := s.mm, &t.Group.caller
	switch p.call.Nr {
	case linux.SYS_PRCTL:
		if a := &p.call.Args; got.Errno == 0 && uint32(a[0]) == linux.PR_SET_MEMORY_MERGE {
			m.SetMemoryMerge(a[1], a[2], a[3], a[4])
			return nil
		}
	case linux.SYS_PROCESS_MADVISE:
		if got.Errno == 0 || got.Errno == linux.ENOMEM { // else nothing was advised
			k.adoptMAdvise(t)
		}
	case linux.SYS_MMAP:
		if got.Errno == 0 {
			m.Adopt(g, p.mmap, got.Addr)
			if p.mmap.File == nil || p.mmap.File.Kind != mm.Device {
				return k.settleMerge(t)
			}
		} else if p.mmap.Flags&linux.MAP_FIXED == 0 {
			return nil
		}
		// A driver sets flags of its own; and one that refuses a fixed mapping leaves a hole.
	case linux.SYS_MREMAP:
		if got.Errno == 0 {
			a := &p.call.Args
			res := m.AdoptMRemap(g, hostarch.Addr(a[0]), a[1], a[2], a[3], hostarch.Addr(a[4]), got.Addr)
			if !res.Unsure {
				return k.settleMerge(t)
			}
		} else if a := &p.call.Args; a[3]&linux.MREMAP_FIXED == 0 {
			return nil
		} else {
			// It may have moved some VMAs of several, with flags that the list does not show.
			before := m.Snapshot()
			res := m.AdoptMRemap(g, hostarch.Addr(a[0]), a[1], a[2], a[3], hostarch.Addr(a[4]), hostarch.Addr(a[4]))
			if res.Unsure || res.Errno != got.Errno {
				m.Restore(before)
			}
		}
		// A driver's mapping; and a move that fails may have unmapped its target.
	case linux.SYS_REMAP_FILE_PAGES:
		if got.Errno == 0 {
			a := &p.call.Args
			m.AdoptRemapFilePages(g, hostarch.Addr(a[0]), a[1], a[2], a[3], a[4])
			return nil
		}
		// What was there may be gone already, as with a fixed mapping.
	case linux.SYS_SHMAT:
		if got.Errno == 0 && p.segment != nil {
			if p.unseen {
				if err := k.lookAtSegment(t, got.Addr); err != nil || s.hidden {
					return err
				}
			}
			m.AdoptShmAt(g, p.segment, got.Addr, uint64(int32(p.call.Args[2])))
			return nil
		}
	}
	if a := &p.call.Args; a[1] < 1<<63 {
		switch {
		case p.call.Nr == linux.SYS_MBIND && (got.Errno == 0 || got.Errno == linux.EIO || got.Errno == linux.ENOMEM):
			// Pages that could not be moved, or a VMA that could not be split, come after policies
			// that were set.
			s.policies = append(s.policies, policyRange{addr: hostarch.Addr(a[0]), length: a[1], none: got.Errno == 0 && uint32(a[2]) == 0})
		case p.call.Nr == linux.SYS_SET_MEMPOLICY_HOME_NODE && got.Errno == 0:
			s.policies = append(s.policies, policyRange{addr: hostarch.Addr(a[0]), length: a[1], home: true})
		}
	}
	// Whatever it did, the kernel's list says.
	return k.catchUp(t)
}

// descriptorShared reports whether the call maps a file by a descriptor that other threads may
// exchange meanwhile.
func (s *space) descriptorShared(c *Call) bool {
	return c.Nr == linux.SYS_MMAP && c.Args[3]&linux.MAP_ANONYMOUS == 0 && s.users > 1
}

// settleMerge adopts the kernel's list where how VMAs merged cannot be known: after a Guess, and
// when a file was mapped beside another mapping of it, since they merge only when both came from
// one open file description. And it does so where the file may not be the one that was looked at.
func (k *Kernel) settleMerge(t *Task) error {
	p, s := &t.call, t.space
	if !p.result.Guess && !k.fileNeighbours(t) && !s.descriptorShared(&p.call) && p.protect == 0 {
		return nil
	}
	return k.catchUp(t)
}

// fileNeighbours reports whether t's new mapping of a file lies beside one that it would be merged
// with if both came from one open file description.
func (k *Kernel) fileNeighbours(t *Task) bool {
	p, m := &t.call, t.space.mm
	if p.call.Nr != linux.SYS_MMAP || p.mmap.File == nil || !p.mmap.File.UnsureIdentity {
		return false
	}
	r, v, ok := m.Find(p.extent.Start)
	if !ok {
		return false
	}
	left, lv, hasLeft := m.Find(r.Start - 1)
	right, rv, hasRight := m.Find(r.End)
	return hasLeft && continues(left, lv, v) || hasRight && continues(r, v, rv) && right.Start == r.End
}

// continues reports whether b, which starts where a's range r ends, shows as a's continuation.
func continues(r hostarch.AddrRange, a, b mm.VMA) bool {
	return a.File != nil && b.File != nil && a.File.Dev == b.File.Dev && a.File.Ino == b.File.Ino &&
		a.Flags == b.Flags && a.PgOff+hostarch.Pages(r.Length()) == b.PgOff
}

// maps returns the kernel's list of t's mappings, or nothing where that cannot be seen, which is
// then remembered.
func (k *Kernel) maps(t *Task) ([]procmaps.Entry, error) {
	entries, err := k.host.Maps(t)
	if errors.Is(err, ErrHidden) {
		t.space.hidden = true
		return nil, nil
	}
	return entries, err
}

// catchUp has the model take over the kernel's list: now, or before the next call that is decided while
// no other is on its way.
func (k *Kernel) catchUp(t *Task) error {
	t.space.dirty = true
	if t.space.quiet(t) {
		return k.reconcile(t)
	}
	return nil
}

// reconcile makes the model equal to the kernel's own list of mappings.
func (k *Kernel) reconcile(t *Task) error {
	entries, err := k.maps(t)
	if entries == nil {
		return err
	}
	t.space.takeOver(entries)
	k.recount(t.space)
	k.note(t.space)
	return nil
}

// takeOver makes the model equal to the kernel's list.
func (s *space) takeOver(entries []procmaps.Entry) {
	s.mm.Reconcile(entries)
	for _, p := range s.policies {
		if p.home {
			s.mm.AdoptHomeNode(p.addr, p.length)
		} else {
			s.mm.AdoptPolicy(p.addr, p.length, p.none)
		}
	}
	s.policies = s.policies[:0]
	s.dirty = false
}

// Verify compares the model of the task's address space with the kernel's list. done is false
// when another task's call is on its way, so that they need not agree at this moment.
func (k *Kernel) Verify(t *Task) (d *Drift, done bool, err error) {
	s := t.space
	if !s.quiet(t) {
		return nil, false, nil
	}
	entries, err := k.host.Maps(t)
	if err != nil {
		return nil, false, err
	}
	if s.dirty {
		s.takeOver(entries)
		k.recount(s)
		return nil, false, nil
	}
	diff := s.mm.Diff(entries)
	if len(diff) == 0 {
		return nil, true, nil
	}
	s.mm.Reconcile(entries)
	k.recount(s)
	return &Drift{Call: t.call.call, Model: t.call.result, Differs: diff}, true, nil
}
