package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// MSeal seals [addr, addr+length), length rounded up to whole pages, against being unmapped,
// moved, resized or protected otherwise (do_mseal).
//
// Errnos: ENOSYS (before Linux 6.10), EINVAL (flags, alignment, or the range wraps), ENOMEM (a hole, vm.max_map_count).
func (m *MemoryManager) MSeal(c *Caller, addr hostarch.Addr, length, flags uint64) Result {
	if m.cfg.before(6, 10) {
		return failed(linux.ENOSYS)
	}
	rounded := hostarch.PageAlign(length)
	start := uint64(addr)
	end := start + rounded
	if flags != 0 || !addr.IsPageAligned() || length != 0 && rounded == 0 || end < start {
		return failed(linux.EINVAL)
	}
	if end == start {
		return succeeded(0)
	}
	if m.hasHole(start, end) {
		return failed(linux.ENOMEM)
	}
	m.ops++
	changed := false
	for start < end {
		seg, _ := m.vmas.At(start)
		hi := min(seg.End, end)
		part := clip(seg, start, hi).Value
		part.Flags |= VM_SEALED
		if res := m.modifyOne(seg, start, hi, part); res.Errno != 0 {
			res.Partial = res.Partial || changed
			return res
		}
		changed = changed || !seg.Value.isSealed()
		start = hi
	}
	return succeeded(0)
}

// hasHole reports whether part of [start, end) is not mapped (range_contains_unmapped).
func (m *MemoryManager) hasHole(start, end uint64) bool {
	for start < end {
		seg, ok := m.vmas.At(start)
		if !ok {
			return true
		}
		start = seg.End
	}
	return false
}
