package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// MSync writes mapped files back (sys_msync). It changes nothing here; what the filesystems
// answer to MS_SYNC is the host's to say, except for memory, which has nothing to write.
//
// Errnos: EINVAL (flags, alignment, a file that cannot be synced), ENOMEM (a hole, or the range
// wraps), EBUSY (MS_INVALIDATE of locked memory).
func (m *MemoryManager) MSync(c *Caller, addr hostarch.Addr, length, flags uint64) Result {
	const known = linux.MS_ASYNC | linux.MS_INVALIDATE | linux.MS_SYNC
	const both = linux.MS_ASYNC | linux.MS_SYNC
	if flags&^known != 0 || !addr.IsPageAligned() || flags&both == both {
		return failed(linux.EINVAL)
	}
	start := uint64(addr)
	end := start + hostarch.PageAlign(length)
	if end < start {
		return failed(linux.ENOMEM)
	}
	hole, unsure := linux.Errno(0), false
	for start < end {
		seg, ok := m.vmas.Find(start)
		if !ok || start < seg.Start && (flags == linux.MS_ASYNC || seg.Start >= end) {
			return syncAnswer(linux.ENOMEM, unsure)
		}
		if start < seg.Start {
			hole = linux.ENOMEM
		}
		v := &seg.Value
		if flags&linux.MS_INVALIDATE != 0 && v.Flags&VM_LOCKED != 0 {
			return syncAnswer(linux.EBUSY, unsure)
		}
		start = seg.End
		if flags&linux.MS_SYNC == 0 || v.File == nil || v.Flags&VM_SHARED == 0 {
			if start >= end {
				return syncAnswer(hole, unsure)
			}
			continue
		}
		switch v.File.Kind {
		case Shmem, SysV, Hugetlb:
		case Ring:
			return syncAnswer(linux.EINVAL, unsure) // no fsync operation
		default:
			unsure = true
		}
	}
	return syncAnswer(hole, unsure)
}

func syncAnswer(errno linux.Errno, unsure bool) Result {
	if unsure {
		return Result{Unsure: true}
	}
	return failed(errno)
}
