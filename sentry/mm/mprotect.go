package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// MProtect sets the protection of [addr, addr+length) (do_mprotect_pkey). pkey is -1 for
// mprotect, else the protection key of pkey_mprotect.
//
// It goes VMA by VMA and stops at the first that refuses; what lies below is changed by then,
// which Result.Partial says.
//
// Errnos: EINVAL (addr not aligned, unknown bits in prot, both PROT_GROWS*, no stack, pkey not
// allocated, a VMA that cannot be split), ENOMEM (a hole, a limit, vm.max_map_count), EACCES
// (the mapping may never have that protection, MDWE), EPERM (sealed).
func (m *MemoryManager) MProtect(c *Caller, addr hostarch.Addr, length, prot uint64, pkey int) Result {
	const growsBoth = linux.PROT_GROWSDOWN | linux.PROT_GROWSUP
	grows := prot & growsBoth
	prot &^= growsBoth
	if grows == growsBoth || !addr.IsPageAligned() {
		return failed(linux.EINVAL)
	}
	if length == 0 {
		return succeeded(0)
	}
	start := uint64(addr)
	end := start + hostarch.PageAlign(length)
	if end <= start {
		return failed(linux.ENOMEM)
	}
	if prot&^(linux.PROT_READ|linux.PROT_WRITE|linux.PROT_EXEC|linux.PROT_SEM) != 0 {
		return failed(linux.EINVAL) // arch_validate_prot
	}
	if res := m.checkPkey(pkey); res.Errno != 0 || res.Unsure {
		return res
	}
	seg, ok := m.vmas.Find(start)
	if !ok || seg.Start >= end {
		return failed(linux.ENOMEM)
	}
	if grows == linux.PROT_GROWSDOWN {
		start = seg.Start
		if seg.Value.Flags&VM_GROWSDOWN == 0 {
			return failed(linux.EINVAL)
		}
	} else {
		if seg.Start > start {
			return failed(linux.ENOMEM)
		}
		if grows == linux.PROT_GROWSUP {
			return failed(linux.EINVAL) // no VMA grows up on this architecture
		}
	}
	m.ops++
	return m.protectRange(c, start, end, prot, pkey)
}

// checkPkey refuses a protection key that is not allocated (mm_pkey_is_allocated). Which ones a
// program allocated is not followed, so the others are the host's to judge.
func (m *MemoryManager) checkPkey(pkey int) Result {
	switch {
	case pkey == -1:
		return Result{}
	case !m.cfg.Pkeys || pkey < 0 || pkey > 15:
		return failed(linux.EINVAL)
	case pkey == 0:
		return Result{}
	}
	return Result{Unsure: true}
}

// protectRange is do_mprotect_pkey's loop over the VMAs, the first of which contains start.
func (m *MemoryManager) protectRange(c *Caller, start, end, prot uint64, pkey int) Result {
	changed, guess := false, false
	for start < end {
		seg, ok := m.vmas.At(start)
		if !ok {
			return Result{Errno: linux.ENOMEM, Partial: changed}
		}
		wanted := prot
		if prot&linux.PROT_READ != 0 && c.Personality&linux.READ_IMPLIES_EXEC != 0 && seg.Value.Flags&VM_MAYEXEC != 0 {
			wanted |= linux.PROT_EXEC
		}
		flags := m.protectedFlags(&seg.Value, wanted, pkey)
		hi := min(seg.End, end)
		var res Result
		switch {
		case flags&^(flags>>4)&vmAccess != 0: // VM_MAY* lie four bits above VM_*
			res = failed(linux.EACCES)
		case m.denyWriteExec(seg.Value.Flags, flags):
			res = failed(linux.EACCES)
		case seg.Value.isSealed():
			res = failed(linux.EPERM)
		case flags != seg.Value.Flags:
			res = m.protectOne(c, seg, start, hi, flags)
		}
		if res.Errno != 0 {
			res.Partial = res.Partial || changed
			return res
		}
		changed = changed || flags != seg.Value.Flags
		guess = guess || res.Guess
		start = hi
	}
	return Result{Guess: guess}
}

// protectedFlags returns the VMA's flags with the protection prot
// (arch_override_mprotect_pkey, calc_vm_prot_bits).
func (m *MemoryManager) protectedFlags(v *VMA, prot uint64, pkey int) Flags {
	if pkey == -1 {
		pkey = int(v.Flags & vmPkeyMask >> VM_PKEY_SHIFT)
		switch {
		case prot == linux.PROT_EXEC && m.cfg.Pkeys:
			pkey = execOnlyPkey
		case pkey == execOnlyPkey && v.Flags&vmAccess == VM_EXEC:
			pkey = 0
		}
	}
	return v.Flags&^(vmAccess|vmPkeyMask) | protFlags(prot, pkey)
}

// protectOne gives the part [start, end) of one VMA new flags, unless a limit forbids it
// (mprotect_fixup).
func (m *MemoryManager) protectOne(c *Caller, seg segment.Segment[VMA], start, end uint64, flags Flags) Result {
	old, pages := seg.Value.Flags, hostarch.Pages(end-start)
	done := succeeded(0)
	if flags&VM_WRITE != 0 {
		// Pages that turn into data count as new ones, unless they were over the limit before.
		if why := m.mayExpandVM(c, flags, pages); why != nil && m.mayExpandVM(c, old, pages) == nil {
			return refused(why)
		}
		if old&(VM_ACCOUNT|VM_WRITE|VM_HUGETLB|VM_SHARED|VM_NORESERVE) == 0 {
			if why := m.enoughMemory(pages); why != nil {
				return refused(why)
			}
			flags |= VM_ACCOUNT
		} else {
			// Otherwise it would be refused: then the list says so.
			done.Guess = m.maybeUncharged(&seg.Value) && m.enoughMemory(pages) != nil
		}
	} else if old&VM_ACCOUNT != 0 && m.unfaulted(&seg.Value) {
		flags &^= VM_ACCOUNT
	}
	v := clip(seg, start, end).Value
	v.Flags = flags
	if res := m.modifyOne(seg, start, end, v); res.Errno != 0 {
		return res
	}
	if old&(VM_WRITE|VM_SHARED|VM_LOCKED) == VM_LOCKED && flags&VM_WRITE != 0 {
		m.populate(start, end) // locked memory is copied now rather than on a fault
	}
	return done
}

// unfaulted reports whether anonymous memory is known to have no anon_vma yet, so that making it
// unwritable returns its charge. Where faults are not seen it may have one, and the charge stays: what
// is charged is never less than what the kernel has charged.
func (m *MemoryManager) unfaulted(v *VMA) bool {
	return m.untouched && v.isAnonymous() && v.Anon.ID == 0
}

// maybeUncharged reports whether the kernel may have returned the charge of memory that the model has charged
// (see unfaulted). It then asks for it anew.
func (m *MemoryManager) maybeUncharged(v *VMA) bool {
	return !m.untouched && v.Flags&(VM_ACCOUNT|VM_WRITE) == VM_ACCOUNT && v.isAnonymous() && v.Anon.ID == 0
}
