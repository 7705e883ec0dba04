package kernel

import (
	"fmt"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/wx"
)

// SetWX says what becomes of memory that was or is writable and is to be executable. It is called
// before the first task.
func (k *Kernel) SetWX(m wx.Mode) { k.wx = m }

// TakeFindings returns the memory that was found in the last decision, or exec, not to be executable.
// Under wx.Deny it is what was refused.
func (k *Kernel) TakeFindings() []wx.Finding {
	f := k.found
	k.found = nil
	return f
}

// judge returns why t's call, whose outcome by the model is res, may not make memory executable. What
// matters is what would be executable after it, and for calls that only the host decides, what could be.
func (k *Kernel) judge(t *Task, res mm.Result) (*limits.Refusal, error) {
	s, p := t.space, &t.call
	if k.wx == wx.Allow || s.trusted {
		return nil, nil
	}
	if s.hidden {
		return nil, nil // see mustSee
	}
	a := &p.call.Args
	var why *wx.Finding
	var err error
	switch p.call.Nr {
	case linux.SYS_MPROTECT, linux.SYS_PKEY_MPROTECT:
		if res.Unsure { // a key: only whether it may be used is the host's to say
			before := s.mm.Snapshot()
			s.mm.MProtect(&t.Group.caller, hostarch.Addr(a[0]), a[1], a[2], -1)
			why, err = k.judgeRange(t, p.extent.AddrRange, 0, &s.history)
			s.mm.Restore(before)
			break
		}
		why, err = k.judgeRange(t, p.extent.AddrRange, 0, &s.history)
	case linux.SYS_MMAP:
		if res.Unsure && (a[2]&linux.PROT_EXEC != 0 || p.protect != 0) { // a driver's mapping
			why = &wx.Finding{Range: hostarch.Range(hostarch.Addr(a[0]), hostarch.PageAlign(a[1])), Offset: a[5], Reason: wx.NoFile}
			if p.mmap.File != nil {
				why.File = p.mmap.File.Name
			}
		} else if res.Errno == 0 && !res.Unsure {
			var asked mm.Flags
			if p.protect != 0 {
				asked = mm.VM_EXEC
			}
			why, err = k.judgeRange(t, hostarch.Range(res.Addr, hostarch.PageAlign(a[1])), asked, &wx.History{}) // its pages are new
		}
	case linux.SYS_SHMAT:
		if a[2]&linux.SHM_EXEC != 0 && res.Errno == 0 {
			why = &wx.Finding{Reason: wx.NoFile, Range: hostarch.Range(hostarch.Addr(a[1]), 0)}
			if p.segment != nil {
				why.File, why.Range.End = p.segment.Name, why.Range.Start+hostarch.Addr(p.segment.Size)
			}
		}
	case linux.SYS_BRK:
		if b := s.mm.BrkRange(); res.Errno == 0 {
			why, err = k.judgeRange(t, b, 0, &s.history)
		}
	case linux.SYS_PERSONALITY:
		// Every mapping that can be read would be executable.
		if persona := a[0]; uint32(persona) != linux.PERSONALITY_QUERY && persona&linux.READ_IMPLIES_EXEC != 0 {
			why = &wx.Finding{Reason: wx.Writable}
		}
	}
	return k.finding(why), err
}

// asksExec reports whether a call of t's is to make memory executable.
func (t *Task) asksExec(c *Call) bool {
	implied := t.personality&linux.READ_IMPLIES_EXEC != 0
	switch c.Nr {
	case linux.SYS_MMAP, linux.SYS_MPROTECT, linux.SYS_PKEY_MPROTECT:
		return c.Args[2]&linux.PROT_EXEC != 0 || implied && c.Args[2]&linux.PROT_READ != 0
	case linux.SYS_SHMAT:
		return c.Args[2]&linux.SHM_EXEC != 0 || implied
	}
	return false
}

// Trusted reports whether t's program may execute what it has written.
func (t *Task) Trusted() bool { return t.space.trusted }

// mustSee reports whether processes that cannot be looked at may not go on: what they have cannot be
// counted, or judged.
func (k *Kernel) mustSee() bool { return k.ledger != nil || k.wx == wx.Deny }

// deferExec takes PROT_EXEC off an mmap of a file by a descriptor that others may exchange between our
// look at it and the kernel's own, and returns the protection that was asked for. What it has mapped then
// shows in the kernel's list, and can be judged:
//
//	thread 1:  mmap(fd, R X) ── fd is a library ── mapped R ── list: which file? ── mprotect(R X), or munmap
//	thread 2:                        dup2(evil, fd)
func (k *Kernel) deferExec(t *Task, c *Call) (protect uint64) {
	if k.wx != wx.Deny || t.space.trusted || t.table.users == 1 || c.Nr != linux.SYS_MMAP ||
		c.Args[2]&linux.PROT_EXEC == 0 || c.Args[3]&linux.MAP_ANONYMOUS != 0 {
		return 0
	}
	// mmap passes over other bits, mprotect does not.
	protect = c.Args[2] & (linux.PROT_READ | linux.PROT_WRITE | linux.PROT_EXEC)
	c.Args[2] &^= linux.PROT_EXEC
	return protect
}

// Protect returns what is left to do when t's mmap is complete, which was decided as a Rewrite: to give
// the mapping the protection that it was asked for, by a call that is decided as any other is, or to unmap
// it if that is refused. ok is false when nothing is left to do.
func (k *Kernel) Protect(t *Task, got mm.Result) (c Call, ok bool) {
	p := &t.call
	if p.protect == 0 || got.Errno != 0 {
		return Call{}, false
	}
	return Call{Nr: linux.SYS_MPROTECT, Args: [6]uint64{uint64(got.Addr), hostarch.PageAlign(p.call.Args[1]), p.protect}}, true
}

// finding notes a finding, and returns the refusal that it is under wx.Deny.
func (k *Kernel) finding(f *wx.Finding) *limits.Refusal {
	if f == nil {
		return nil
	}
	k.found = append(k.found, *f)
	if k.wx != wx.Deny {
		return nil
	}
	return &limits.Refusal{Kind: limits.ByPolicy, Resource: limits.WX, Detail: f.String(), Errno: linux.EACCES}
}

// judgeRange returns the first memory in r that is executable by the model and must not be; more are
// flags that it is going to have as well.
func (k *Kernel) judgeRange(t *Task, r hostarch.AddrRange, more mm.Flags, h *wx.History) (*wx.Finding, error) {
	for whole, v := range t.space.mm.Within(r) {
		v.Flags |= more
		part := hostarch.AddrRange{Start: max(whole.Start, r.Start), End: min(whole.End, r.End)}
		why, err := wx.Judge(&v, part, h, func(f *mm.File) (bool, error) { return k.host.Changeable(t, f) })
		if err != nil {
			return nil, err
		}
		if why != "" {
			return wx.FindingOf(whole, part, &v, why), nil
		}
	}
	return nil, nil
}

// remember adds to the history what is writable before t's call, if that is to give it another protection,
// and what it is to make writable: it may do so though the model says that it fails, if a limit is raised
// before the kernel looks.
func (k *Kernel) remember(t *Task) {
	s, p := t.space, &t.call
	if k.wx == wx.Allow || p.call.Nr != linux.SYS_MPROTECT && p.call.Nr != linux.SYS_PKEY_MPROTECT {
		return
	}
	r := p.extent.AddrRange
	if p.extent.all {
		r = hostarch.AddrRange{End: ^hostarch.Addr(0)}
	}
	// PROT_GROWSDOWN and PROT_GROWSUP reach to the end of the VMA, but that is then a stack, which is
	// never executable.
	for whole, v := range s.mm.Within(r) {
		writable := v.Flags&mm.VM_WRITE != 0 || p.call.Args[2]&linux.PROT_WRITE != 0
		if writable && v.Flags&mm.VM_SHARED == 0 && (v.File != nil || v.Rare != nil && v.Rare.Special != "") {
			s.history.Add(hostarch.AddrRange{Start: max(whole.Start, r.Start), End: min(whole.End, r.End)})
		}
	}
}

// remap updates the history after t's observed call, which returned got.
func (k *Kernel) remap(t *Task, got mm.Result) {
	s, p := t.space, &t.call
	if k.wx == wx.Allow || got.Errno != 0 {
		return
	}
	a := &p.call.Args
	switch p.call.Nr {
	case linux.SYS_MMAP:
		s.history.Remove(hostarch.Range(got.Addr, hostarch.PageAlign(a[1])))
	case linux.SYS_MREMAP:
		// An old size of 0 stands for a second mapping of shared memory, which has no history.
		from := hostarch.Range(hostarch.Addr(a[0]), hostarch.PageAlign(a[1]))
		to := hostarch.Range(got.Addr, hostarch.PageAlign(a[2]))
		if from.Start != to.Start {
			s.history.Move(from, to)
		} else if to.End > from.End {
			s.history.Remove(hostarch.AddrRange{Start: from.End, End: to.End})
		}
	case linux.SYS_SHMAT:
		if r, _, ok := s.mm.Find(got.Addr); ok {
			s.history.Remove(hostarch.AddrRange{Start: got.Addr, End: r.End})
		}
	}
}

// judgeImage returns why the image that t has executed must not run.
func (k *Kernel) judgeImage(t *Task) (*limits.Refusal, error) {
	if k.wx == wx.Allow || t.space.trusted {
		return nil, nil
	}
	if t.space.hidden {
		return nil, nil
	}
	why, err := k.judgeRange(t, hostarch.AddrRange{End: ^hostarch.Addr(0)}, 0, &t.space.history)
	if err != nil {
		return nil, fmt.Errorf("exec: %w", err)
	}
	return k.finding(why), nil
}
