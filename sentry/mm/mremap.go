package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// remap is an mremap under way (struct vma_remap_struct). Addresses and lengths are in bytes,
// page-aligned once checkParams has passed.
type remap struct {
	addr, oldLen    uint64
	newAddr, newLen uint64
	flags           uint64
	delta           uint64 // |oldLen - newLen|, for the limits
	adopted         uint64 // where the host put it, when the manager could not know; else 0
	partial         bool   // something was unmapped before a later check refused
}

func (r *remap) expands() bool  { return r.newLen > r.oldLen }
func (r *remap) shrinks() bool  { return r.newLen < r.oldLen }
func (r *remap) fixed() bool    { return r.flags&linux.MREMAP_FIXED != 0 }
func (r *remap) keepsOld() bool { return r.flags&linux.MREMAP_DONTUNMAP != 0 }

// impliesNewAddr mirrors vrm_implies_new_addr.
func (r *remap) impliesNewAddr() bool { return r.fixed() || r.keepsOld() }

func (r *remap) fail(e linux.Errno) Result { return Result{Errno: e, Partial: r.partial} }

func (r *remap) refuse(why *limits.Refusal) Result {
	return Result{Errno: why.Errno, Refusal: why, Partial: r.partial}
}

// MRemap resizes or moves a mapping (sys_mremap, do_mremap). Result.Addr is where it is then.
//
//	in place, shrink     [....old....)      ->  [.new.)
//	in place, expand     [.old.)            ->  [....new....)
//	move                 [.old.)            ->            [..new..)
//	MREMAP_DONTUNMAP     [.old.)            ->  [.old.)   [.new.)
//	move only, FIXED     [a)  [b)[c)        ->            [a)  [b)[c)
//
// A move with MREMAP_FIXED and equal lengths takes several VMAs and the gaps between them along
// (Linux 6.17). Whether moved private memory keeps its offset or gets that of its new place
// depends on whether it was ever written, which decides with what it merges; see Result.Guess.
//
// Errnos: EINVAL (arguments, overlap, duplicate of private memory, huge pages), EFAULT (nothing
// mapped, across the end of a VMA, not expandable), EPERM (sealed), EAGAIN (RLIMIT_MEMLOCK),
// ENOMEM (no room, limits, vm.max_map_count).
func (m *MemoryManager) MRemap(c *Caller, addr hostarch.Addr, oldLen, newLen, flags uint64, newAddr hostarch.Addr) Result {
	return m.mremap(c, &remap{addr: uint64(addr), oldLen: oldLen, newLen: newLen, flags: flags, newAddr: uint64(newAddr)})
}

// AdoptMRemap does what MRemap does when the host moved the mapping to the address got, which
// the manager could not know.
func (m *MemoryManager) AdoptMRemap(c *Caller, addr hostarch.Addr, oldLen, newLen, flags uint64, newAddr, got hostarch.Addr) Result {
	return m.mremap(c, &remap{addr: uint64(addr), oldLen: oldLen, newLen: newLen, flags: flags,
		newAddr: uint64(newAddr), adopted: uint64(got)})
}

// mremap mirrors do_mremap.
func (m *MemoryManager) mremap(c *Caller, r *remap) Result {
	r.oldLen, r.newLen = hostarch.PageAlign(r.oldLen), hostarch.PageAlign(r.newLen)
	if errno := m.checkRemapParams(r); errno != 0 {
		return failed(errno)
	}
	if r.impliesNewAddr() && m.totals.MapCount+2 >= m.cfg.MaxMapCount-3 {
		// Both ends may be split in three before anything is unmapped, and move_vma wants to
		// stay four below the limit.
		return refused(m.mapCountRefusal(6))
	}
	m.ops++
	if r.fixed() && r.oldLen == r.newLen && !m.cfg.before(6, 17) {
		return m.remapMove(c, r)
	}
	if res := m.checkPrep(c, r); res.Errno != 0 || res.Unsure {
		return res
	}
	if r.impliesNewAddr() {
		return m.remapTo(c, r)
	}
	return m.remapAt(c, r)
}

// checkRemapParams checks what needs no VMA (check_mremap_params).
func (m *MemoryManager) checkRemapParams(r *remap) linux.Errno {
	taskSize := uint64(m.cfg.TaskSize)
	const known = linux.MREMAP_FIXED | linux.MREMAP_MAYMOVE | linux.MREMAP_DONTUNMAP
	switch {
	case r.flags&^known != 0, r.addr%hostarch.PageSize != 0:
		return linux.EINVAL
	case r.newLen == 0, r.newLen > taskSize:
		return linux.EINVAL
	case !r.impliesNewAddr():
		return 0
	case r.newAddr > taskSize-r.newLen, r.newAddr%hostarch.PageSize != 0:
		return linux.EINVAL
	case r.flags&linux.MREMAP_MAYMOVE == 0:
		return linux.EINVAL
	case r.keepsOld() && r.oldLen != r.newLen:
		return linux.EINVAL
	case r.addr+r.oldLen > r.newAddr && r.newAddr+r.newLen > r.addr: // vrm_overlaps
		return linux.EINVAL
	}
	return 0
}

// checkPrep checks whether the VMA at r.addr may be resized or moved so (check_prep_vma).
func (m *MemoryManager) checkPrep(c *Caller, r *remap) Result {
	seg, ok := m.vmas.At(r.addr)
	v := &seg.Value
	switch {
	case !ok:
		return r.fail(linux.EFAULT)
	case v.isSealed():
		return r.fail(linux.EPERM)
	case v.Flags&VM_HUGETLB != 0 && !r.alignHugetlb(v):
		return r.fail(linux.EINVAL)
	}
	r.delta = max(r.oldLen, r.newLen) - min(r.oldLen, r.newLen)
	if !r.expands() && !r.impliesNewAddr() {
		return Result{}
	}
	if r.oldLen == 0 && v.Flags&(VM_SHARED|VM_MAYSHARE) == 0 {
		return r.fail(linux.EINVAL) // a duplicate of private memory would share nothing with it
	}
	if r.keepsOld() && v.Flags&(VM_DONTEXPAND|VM_PFNMAP) != 0 {
		return r.fail(linux.EINVAL)
	}
	oldLen := r.oldLen
	if r.shrinks() {
		oldLen = r.newLen // what is unmapped may cross VMAs
	}
	if oldLen > seg.End-r.addr {
		return r.fail(linux.EFAULT)
	}
	if r.adopted == 0 && v.hostMoves() {
		return Result{Unsure: true}
	}
	if r.newLen == oldLen {
		return Result{}
	}
	pgoff := v.PgOff + hostarch.Pages(r.addr-seg.Start)
	if pgoff+hostarch.Pages(r.newLen) < pgoff {
		return r.fail(linux.EINVAL)
	}
	if v.Flags&(VM_DONTEXPAND|VM_PFNMAP) != 0 {
		return r.fail(linux.EFAULT)
	}
	if why := m.mlockFutureOK(c, v.Flags, r.delta); why != nil {
		return r.refuse(why)
	}
	if why := m.mayExpandVM(c, v.Flags, hostarch.Pages(r.delta)); why != nil {
		return r.refuse(why)
	}
	return Result{}
}

// hostMoves reports whether only the host can tell what becomes of the VMA: a driver may have made it
// one that does not expand, and a ring moves only as long as its context lives, of which nothing is
// known where the ring was found in the kernel's list (aio_ring_mremap).
func (v *VMA) hostMoves() bool {
	return v.File != nil && (v.File.Kind == Device && v.File.MapFlags == 0 || v.File.Kind == Ring && v.File.Size == 0)
}

// alignHugetlb rounds the lengths up to huge pages, and reports whether the rest is aligned and
// does not expand (align_hugetlb).
func (r *remap) alignHugetlb(v *VMA) bool {
	size := uint64(hostarch.HugePageSize)
	if v.File != nil && v.File.HugeSize != 0 {
		size = v.File.HugeSize
	}
	r.oldLen = (r.oldLen + size - 1) &^ (size - 1)
	r.newLen = (r.newLen + size - 1) &^ (size - 1)
	return (r.addr|r.newAddr)&(size-1) == 0 && r.newLen <= r.oldLen
}

// remapMove moves the VMAs in the range, and the gaps between them, to a fixed place
// (remap_move).
func (m *MemoryManager) remapMove(c *Caller, r *remap) Result {
	start, end := r.addr, r.addr+r.oldLen
	to := r.newAddr
	res, seen, at := r.fail(linux.EFAULT), false, start
	for at < end {
		seg, ok := m.vmas.Find(at)
		if !ok || seg.Start >= end {
			break
		}
		if !seen && start < seg.Start {
			return r.fail(linux.EFAULT) // no gap is allowed at the start
		}
		from, upTo := max(seg.Start, start), min(seg.End, end)
		if !multiAllowed(&seg.Value) && (seen || seg.End < end) {
			return r.fail(linux.EFAULT)
		}
		part := remap{addr: from, oldLen: upTo - from, newLen: upTo - from, newAddr: to + (from - start),
			flags: r.flags, partial: r.partial}
		if r.adopted != 0 {
			part.adopted = part.newAddr
		}
		got := m.checkPrep(c, &part)
		if got.Errno == 0 && !got.Unsure {
			got = m.remapTo(c, &part)
		}
		if got.Errno != 0 || got.Unsure {
			return got
		}
		if !seen {
			got.Guess = got.Guess || res.Guess
			res = got
		} else {
			res.Guess = res.Guess || got.Guess
		}
		seen, r.partial, at = true, true, upTo
	}
	return res
}

// multiAllowed reports whether the VMA may be one of several that are moved together: its file
// must not have a search for addresses of its own that is not known to obey MAP_FIXED
// (vma_multi_allowed).
func multiAllowed(v *VMA) bool {
	return v.File == nil || v.File.Kind != SysV && v.File.Kind != DevZero
}

// remapTo moves a VMA, or part of one, to a fixed place or to one to be found (mremap_to).
func (m *MemoryManager) remapTo(c *Caller, r *remap) Result {
	if r.fixed() {
		if res := m.unmapFor(r, r.newAddr, r.newAddr+r.newLen); res.Errno != 0 {
			return res
		}
		if _, ok := m.vmas.At(r.addr); !ok {
			return r.fail(linux.EFAULT) // the target was the source (oldLen 0)
		}
	}
	if r.shrinks() {
		if res := m.unmapFor(r, r.addr+r.newLen, r.addr+r.oldLen); res.Errno != 0 {
			return res
		}
		r.oldLen = r.newLen
	}
	seg, ok := m.vmas.At(r.addr)
	if !ok {
		return r.fail(linux.EFAULT)
	}
	if r.keepsOld() {
		if why := m.mayExpandVM(c, seg.Value.Flags, hostarch.Pages(r.oldLen)); why != nil {
			return r.refuse(why)
		}
	}
	return m.moveTo(c, r, seg)
}

// charge returns the bytes that the move commits if the VMA is charged at all (vrm_calc_charge).
func (r *remap) charge() uint64 {
	if r.keepsOld() {
		return r.newLen
	}
	return r.delta
}

// mayCharge reports whether the remapping may make v cost length bytes more (vrm_calc_charge).
func (m *MemoryManager) mayCharge(r *remap, v *VMA, length uint64) (res Result, ok bool) {
	if v.Flags&VM_ACCOUNT == 0 || length == 0 || r.adopted != 0 {
		return Result{}, true
	}
	why := m.enoughMemory(hostarch.Pages(length))
	switch {
	case why == nil:
		return Result{}, true
	case m.maybeUncharged(v):
		return Result{Unsure: true}, false
	}
	return r.refuse(why), false
}

// unmapFor unmaps [start, end) as part of the remapping (do_vmi_munmap).
func (m *MemoryManager) unmapFor(r *remap, start, end uint64) Result {
	if taskSize := uint64(m.cfg.TaskSize); start > taskSize || end-start > taskSize-start {
		return r.fail(linux.EINVAL)
	}
	if errno := m.checkUnmap(start, end); errno != 0 {
		res := m.unmapFailed(start, end, errno)
		res.Partial = res.Partial || r.partial
		return res
	}
	if seg, ok := m.vmas.Find(start); ok && seg.Start < end {
		m.unmap(start, end)
		r.partial = true
	}
	return Result{}
}

// remapAt resizes in place, or moves where that is allowed and needed (mremap_at, expand_vma).
func (m *MemoryManager) remapAt(c *Caller, r *remap) Result {
	switch {
	case r.delta == 0:
		return succeeded(hostarch.Addr(r.addr))
	case r.shrinks():
		if res := m.unmapFor(r, r.addr+r.newLen, r.addr+r.oldLen); res.Errno != 0 {
			return res
		}
		return succeeded(hostarch.Addr(r.addr))
	}
	seg, _ := m.vmas.At(r.addr)
	if seg.End-r.addr == r.oldLen && m.expandable(c, seg, r.delta) {
		return m.expandInPlace(c, r, seg)
	}
	if r.flags&linux.MREMAP_MAYMOVE == 0 {
		return Result{Errno: linux.ENOMEM, Refusal: m.spaceRefusal(r.delta)}
	}
	r.newAddr = 0
	return m.moveTo(c, r, seg)
}

// expandable reports whether delta bytes behind the VMA are free (vma_expandable).
func (m *MemoryManager) expandable(c *Caller, seg segment.Segment[VMA], delta uint64) bool {
	end, taskSize := seg.End+delta, uint64(m.cfg.TaskSize)
	if end < seg.End || end > taskSize || seg.Start < m.cfg.dacMinAddr() && !c.Creds.SysRawIO {
		return false
	}
	next, ok := m.vmas.Find(seg.End)
	return !ok || next.Start >= end
}

// expandInPlace lengthens the VMA, and merges it with what it now meets (expand_vma_in_place,
// vma_merge_extend).
func (m *MemoryManager) expandInPlace(c *Caller, r *remap, seg segment.Segment[VMA]) Result {
	if res, ok := m.mayCharge(r, &seg.Value, r.delta); !ok {
		return res
	}
	if seg.Value.Flags&vmSpecial != 0 {
		return r.fail(linux.ENOMEM) // these are never merged, not even with their own extension
	}
	end := seg.End + r.delta
	m.account(seg.Value.Flags, hostarch.Pages(r.delta))
	m.vmas.Update(seg.Start, seg.Start, end, seg.Value)
	res := succeeded(hostarch.Addr(r.addr))
	res.Guess = m.mergeExtension(end)
	if seg.Value.Flags&VM_LOCKED != 0 {
		m.populate(seg.End, end)
	}
	return res
}

// moveTo finds the new place of the range of seg and moves it there (vrm_set_new_addr,
// move_vma).
func (m *MemoryManager) moveTo(c *Caller, r *remap, seg segment.Segment[VMA]) Result {
	v := clip(seg, r.addr, seg.End).Value
	q := areaRequest{hint: r.newAddr, length: r.newLen, pgoff: v.PgOff, file: v.File}
	if r.fixed() {
		q.flags |= linux.MAP_FIXED
	}
	if v.Flags&VM_MAYSHARE != 0 {
		q.flags |= linux.MAP_SHARED
	}
	addr, errno, why, unsure := m.areaFor(c, q)
	switch {
	case r.adopted != 0:
		addr = hostarch.Addr(r.adopted)
	case unsure:
		return Result{Unsure: true}
	case errno != 0:
		return Result{Errno: errno, Refusal: why, Partial: r.partial}
	}
	r.newAddr = uint64(addr)

	if m.totals.MapCount >= m.cfg.MaxMapCount-3 { // prep_move_vma
		return r.refuse(m.mapCountRefusal(4))
	}
	if seg.Start != r.addr {
		errno = maySplit(&seg.Value, r.addr)
	}
	if errno == 0 && seg.End != r.addr+r.oldLen {
		errno = maySplit(&seg.Value, r.addr+r.oldLen)
	}
	if errno != 0 {
		return r.fail(errno)
	}
	if res, ok := m.mayCharge(r, &v, r.charge()); !ok {
		return res
	}
	if v.File != nil && v.File.Kind == Ring && !m.ownsRing(v.File) {
		return r.fail(linux.EINVAL) // aio_ring_mremap, which undoes the move
	}
	return m.copyVMA(r, v, seg)
}

// copyVMA puts v at its new place, merging it with what is there, and takes it away from the old
// one (copy_vma, unmap_source_vma).
func (m *MemoryManager) copyVMA(r *remap, v VMA, seg segment.Segment[VMA]) Result {
	res := succeeded(hostarch.Addr(r.newAddr))
	if v.isAnonymous() && (v.Anon.ID == 0 || v.File != nil && !m.untouched) {
		// Never written memory gets the offset of its new place, so that it merges there.
		moved := v
		moved.PgOff = hostarch.Pages(r.newAddr)
		if m.untouched {
			v = moved
		} else {
			// That of a private mapping of /dev/zero shows in any case.
			res.Guess = v.File != nil || m.offsetMatters(r, v, moved)
		}
	}
	m.insertMerged(segment.Segment[VMA]{Start: r.newAddr, End: r.newAddr + r.newLen, Value: v})
	m.moveGuards(r.addr, r.newAddr, r.oldLen)
	if r.keepsOld() {
		m.keepOld(r, seg)
	} else if r.oldLen != 0 {
		m.unmap(r.addr, r.addr+r.oldLen)
	}
	if v.Flags&VM_LOCKED != 0 && r.expands() {
		m.populate(r.newAddr+r.oldLen, r.newAddr+r.newLen)
	}
	return res
}

// offsetMatters reports whether it shows in the list of VMAs which of two offsets a moved VMA
// has.
func (m *MemoryManager) offsetMatters(r *remap, a, b VMA) bool {
	prev, next, hasPrev, hasNext := m.neighbours(r.newAddr, r.newAddr+r.newLen)
	for _, v := range [2]VMA{a, b} {
		at := segment.Segment[VMA]{Start: r.newAddr, End: r.newAddr + r.newLen, Value: v}
		if hasPrev && m.mergeable(prev, at) || hasNext && m.mergeable(at, next) {
			return true
		}
	}
	return false
}

// keepOld is the end of a MREMAP_DONTUNMAP: the old VMA, which may have become one with the new,
// is no longer locked, all of it. It stays in locked_vm for ever, though (dontunmap_complete).
func (m *MemoryManager) keepOld(r *remap, was segment.Segment[VMA]) {
	seg, ok := m.vmas.At(r.addr)
	if !ok {
		return
	}
	m.kept = true
	v := seg.Value
	if v.Flags&VM_LOCKED != 0 {
		v.Flags &^= VM_LOCKED | VM_LOCKONFAULT
		m.lockedLeak += hostarch.Pages(seg.End - seg.Start)
	}
	merged := r.newAddr >= seg.Start && r.newAddr < seg.End
	if !merged && was.Start == r.addr && was.End == r.addr+r.oldLen {
		v.Anon.ID, v.Anon.Forked = 0, false // unlink_anon_vmas
	}
	if v != seg.Value {
		m.vmas.Update(seg.Start, seg.Start, seg.End, v)
		m.loose = true // its neighbours are not looked at
	}
}
