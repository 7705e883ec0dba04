package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// RemapFilePages maps another part of a shared mapping's file over it (sys_remap_file_pages,
// which mmap emulates). size is rounded down to whole pages; pgoff is in pages.
//
// Errnos: EINVAL (arguments, no shared mapping, or the range is not of one file with equal flags
// throughout), and those of mmap.
func (m *MemoryManager) RemapFilePages(c *Caller, start hostarch.Addr, size, prot, pgoff, flags uint64) Result {
	a, errno := m.remapFileArgs(start, size, prot, pgoff, flags)
	if errno != 0 {
		return failed(errno)
	}
	res := m.MMap(c, a)
	if res.Errno == 0 {
		res.Addr = 0
	}
	return res
}

// AdoptRemapFilePages does what RemapFilePages does when the host succeeded where the manager was
// Unsure.
func (m *MemoryManager) AdoptRemapFilePages(c *Caller, start hostarch.Addr, size, prot, pgoff, flags uint64) {
	if a, errno := m.remapFileArgs(start, size, prot, pgoff, flags); errno == 0 {
		m.Adopt(c, a, a.Addr)
	}
}

// AdoptRefusedRemapFilePages is AdoptRefusedMMap for a RemapFilePages.
func (m *MemoryManager) AdoptRefusedRemapFilePages(start hostarch.Addr, size, prot, pgoff, flags uint64) {
	if a, errno := m.remapFileArgs(start, size, prot, pgoff, flags); errno == 0 {
		m.AdoptRefusedMMap(a)
	}
}

// remapFileArgs returns the mmap that stands for a remap_file_pages.
func (m *MemoryManager) remapFileArgs(at hostarch.Addr, size, prot, pgoff, flags uint64) (MMapArgs, linux.Errno) {
	start := uint64(at.RoundDown())
	size &^= hostarch.PageSize - 1
	end := start + size
	if prot != 0 || end <= start || pgoff+hostarch.Pages(size) < pgoff {
		return MMapArgs{}, linux.EINVAL
	}
	seg, ok := m.vmas.At(start)
	v := seg.Value
	if !ok || v.Flags&VM_SHARED == 0 {
		return MMapArgs{}, linux.EINVAL
	}
	for seg.End < end {
		next, ok := m.vmas.At(seg.End)
		if !ok || next.Value.File != v.File || next.Value.Flags != v.Flags {
			return MMapArgs{}, linux.EINVAL
		}
		seg = next
	}
	if v.File.Kind == Hugetlb && (start|size)&(v.File.HugeSize-1) != 0 {
		return MMapArgs{}, linux.EINVAL // hugetlb_get_unmapped_area; only mmap itself rounds up
	}
	if pgoff+hostarch.Pages(size) > 1<<(63-hostarch.PageShift) {
		return MMapArgs{}, linux.EOVERFLOW // beyond what a file can have; MMapArgs is in bytes
	}
	a := MMapArgs{Addr: hostarch.Addr(start), Length: size, Prot: uint64(v.Flags & vmAccess), File: v.File,
		Offset: pgoff << hostarch.PageShift}
	a.Flags = flags&linux.MAP_NONBLOCK | linux.MAP_SHARED | linux.MAP_FIXED | linux.MAP_POPULATE
	if v.Flags&VM_LOCKED != 0 {
		a.Flags |= linux.MAP_LOCKED
	}
	return a, 0
}
