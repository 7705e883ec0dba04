package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// MUnmap unmaps [addr, addr+length), length rounded up to whole pages; holes are no error
// (do_vmi_munmap).
//
// Errnos: EINVAL (addr not aligned, length 0, beyond the task size, or a VMA that cannot be
// split there), ENOMEM (the split would exceed vm.max_map_count), EPERM (sealed).
func (m *MemoryManager) MUnmap(c *Caller, addr hostarch.Addr, length uint64) Result {
	taskSize := m.cfg.TaskSize
	if !addr.IsPageAligned() || addr > taskSize || length > uint64(taskSize-addr) {
		return failed(linux.EINVAL)
	}
	start := uint64(addr)
	end := start + hostarch.PageAlign(length)
	if end == start {
		return failed(linux.EINVAL)
	}
	if errno := m.checkUnmap(start, end); errno != 0 {
		return m.unmapFailed(start, end, errno)
	}
	m.ops++
	m.unmap(start, end)
	return succeeded(0)
}
