package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// vmSpecial are the VMAs that are never merged (VM_SPECIAL).
const vmSpecial = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP

// vmAccess are the bits that mprotect sets (VM_ACCESS_FLAGS).
const vmAccess = VM_READ | VM_WRITE | VM_EXEC

// vmPkeyMask are the bits of the protection key.
const vmPkeyMask Flags = 0xf << VM_PKEY_SHIFT

// isAnonymous reports whether the VMA is private anonymous memory (vma_is_anonymous), which
// private mappings of /dev/zero are as well.
func (v *VMA) isAnonymous() bool {
	if v.File == nil {
		return v.Rare == nil || v.Rare.Special == ""
	}
	return v.File.Kind == DevZero
}

// isSealed reports whether mseal protects the VMA.
func (v *VMA) isSealed() bool { return v.Flags&VM_SEALED != 0 }

// special returns the name of a mapping that the kernel itself installed, or "".
func (v *VMA) special() string {
	if v.Rare == nil {
		return ""
	}
	return v.Rare.Special
}

// hasClose reports whether the VMA's driver has a close operation, for which merging never
// removes it.
func hasClose(v *VMA) bool {
	if v.File == nil {
		return false
	}
	switch v.File.Kind {
	case SysV, Hugetlb, Ring:
		return true
	}
	return v.File.Close
}

// startGap returns the lowest address that belongs to the VMA or to the gap below it which
// other mappings must not enter (vm_start_gap).
func (m *MemoryManager) startGap(seg segment.Segment[VMA]) uint64 {
	var gap uint64
	switch {
	case seg.Value.Flags&VM_GROWSDOWN != 0:
		gap = m.cfg.StackGuardGap
	case seg.Value.Flags&VM_SHADOW_STACK != 0:
		gap = hostarch.PageSize
	}
	if gap > seg.Start {
		return 0
	}
	return seg.Start - gap
}

// clip returns the part [start, end) of seg, which contains it.
func clip(seg segment.Segment[VMA], start, end uint64) segment.Segment[VMA] {
	seg.Value.PgOff += hostarch.Pages(start - seg.Start)
	seg.Start, seg.End = start, end
	return seg
}

// link puts a VMA into the tree; it does not count its pages.
func (m *MemoryManager) link(seg segment.Segment[VMA]) {
	m.vmas.Insert(seg.Start, seg.End, seg.Value)
	m.totals.MapCount++
}

// unlink takes the VMA that starts at start out of the tree; it does not count its pages.
func (m *MemoryManager) unlink(start uint64) {
	m.vmas.Remove(start)
	m.totals.MapCount--
}

// insert puts a VMA into the tree and counts it, without merging it (vma_link,
// vm_stat_account). Its range must be free.
func (m *MemoryManager) insert(seg segment.Segment[VMA]) {
	m.link(seg)
	m.account(seg.Value.Flags, hostarch.Pages(seg.End-seg.Start))
}

// maySplit returns the errno with which a VMA refuses to be split at addr (vm_ops->may_split).
func maySplit(v *VMA, addr uint64) linux.Errno {
	if v.special() != "" {
		return linux.EINVAL // special_mapping_split
	}
	if v.File != nil && v.File.Kind == Hugetlb && addr&(v.File.HugeSize-1) != 0 {
		return linux.EINVAL // hugetlb_vm_op_split
	}
	if v.File != nil && v.File.Kind == Device && v.File.Name == "anon_inode:[perf_event]" {
		return linux.EINVAL // perf_mmap_may_split, since Linux 6.17
	}
	return 0
}

// splitAt makes a boundary between VMAs lie at addr, if addr lies inside one (__split_vma). It
// checks neither vm.max_map_count nor maySplit: the callers did.
func (m *MemoryManager) splitAt(addr uint64) {
	seg, ok := m.vmas.At(addr)
	if !ok || seg.Start == addr {
		return
	}
	m.vmas.Update(seg.Start, seg.Start, addr, seg.Value)
	m.link(clip(seg, addr, seg.End))
}

// checkUnmap returns why [start, end) cannot be unmapped, 0 when it can, in the order in which
// vms_gather_munmap_vmas finds out. It changes nothing.
func (m *MemoryManager) checkUnmap(start, end uint64) linux.Errno {
	seg, ok := m.vmas.Find(start)
	if !ok || seg.Start >= end {
		return 0
	}
	if start > seg.Start {
		// Splitting one VMA in two leaves one more; everything else leaves no more.
		if end < seg.End && m.totals.MapCount >= m.cfg.MaxMapCount {
			return linux.ENOMEM
		}
		if seg.Value.isSealed() {
			return linux.EPERM
		}
		if errno := maySplit(&seg.Value, start); errno != 0 {
			return errno
		}
	}
	for ok && seg.Start < end {
		if seg.Value.isSealed() {
			return linux.EPERM
		}
		if seg.End > end {
			return maySplit(&seg.Value, end)
		}
		seg, ok = m.vmas.Find(seg.End)
	}
	return 0
}

// unmapFailed is the answer when checkUnmap refused with errno. The kernel has split the first VMA
// by then, unless that was what it refused, and leaves it so:
//
//	     start
//	[--a---|------)[sealed)   ->   [--a--)[-a'--)[sealed)
func (m *MemoryManager) unmapFailed(start, end uint64, errno linux.Errno) Result {
	res := m.splitFailed(errno)
	seg, ok := m.vmas.Find(start)
	if !ok || seg.Start >= start || seg.Value.isSealed() || maySplit(&seg.Value, start) != 0 ||
		end < seg.End && m.totals.MapCount >= m.cfg.MaxMapCount {
		return res
	}
	m.splitAt(start)
	m.loose, res.Partial = true, true
	return res
}

// unmapAborted is why, the answer when something else refused after the range was found fit to be
// unmapped: the kernel leaves the VMAs at both ends split.
func (m *MemoryManager) unmapAborted(start, end uint64, why *limits.Refusal) Result {
	res, before := refused(why), m.totals.MapCount
	m.splitAt(start)
	m.splitAt(end)
	if m.totals.MapCount != before {
		m.loose, res.Partial = true, true
	}
	return res
}

// unmapLost is why, the answer when something refused after the old VMAs were taken down: the kernel
// cannot put them back, and leaves a gap (vms_abort_munmap_vmas).
func (m *MemoryManager) unmapLost(start, end uint64, why *limits.Refusal) Result {
	res := refused(why)
	if seg, ok := m.vmas.Find(start); ok && seg.Start < end {
		m.ops++
		m.unmap(start, end)
		res.Partial = true
	}
	return res
}

// unmap removes [start, end) after the checks (do_vmi_align_munmap):
//
//	      start         end
//	        |            |
//	[---a------)[-b-)  [---c---)[-d-)
//	[-a'----)            [-c'--)[-d-)
func (m *MemoryManager) unmap(start, end uint64) {
	m.setGuards(start, end, false)
	seg, ok := m.vmas.Find(start)
	if m.layout == Legacy && ok && seg.Start < end {
		defer m.legacyUnmapped(max(seg.Start, start))
	}
	for ok && seg.Start < end {
		lo, hi := max(seg.Start, start), min(seg.End, end)
		m.unaccount(seg.Value.Flags, hostarch.Pages(hi-lo))
		switch {
		case seg.Start < lo:
			m.vmas.Update(seg.Start, seg.Start, lo, seg.Value)
			if hi < seg.End {
				m.link(clip(seg, hi, seg.End))
			}
		case hi < seg.End:
			m.vmas.Update(seg.Start, hi, seg.End, clip(seg, hi, seg.End).Value)
		default:
			m.unlink(seg.Start)
		}
		seg, ok = m.vmas.Find(hi)
	}
}
