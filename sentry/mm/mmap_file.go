package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// legacyMapMask are the flags that MAP_SHARED_VALIDATE knows (LEGACY_MAP_MASK). It lacks
// MAP_FIXED_NOREPLACE.
const legacyMapMask = linux.MAP_SHARED | linux.MAP_PRIVATE | linux.MAP_FIXED | linux.MAP_ANONYMOUS |
	linux.MAP_DENYWRITE | linux.MAP_EXECUTABLE | linux.MAP_UNINITIALIZED | linux.MAP_GROWSDOWN |
	linux.MAP_LOCKED | linux.MAP_NORESERVE | linux.MAP_POPULATE | linux.MAP_NONBLOCK |
	linux.MAP_STACK | linux.MAP_HUGETLB | linux.MAP_32BIT | linux.MAP_ABOVE4G |
	21<<linux.MAP_HUGE_SHIFT | 30<<linux.MAP_HUGE_SHIFT

// maxFileSize is the largest offset of a file that says nothing else (MAX_LFS_FILESIZE).
const maxFileSize = 1<<63 - 1

// fits reports whether the offsets can be mapped (file_mmap_ok).
func (f *File) fits(pgoff, length uint64) bool {
	limit := uint64(maxFileSize)
	if f.MaxSize != 0 {
		limit = f.MaxSize
	}
	return length <= limit && pgoff <= (limit-length)>>hostarch.PageShift
}

// checkFile decides whether the file may be mapped so, and sets the flags that follow from it
// (do_mmap, memfd_check_seals_mmap).
func (mp *mapping) checkFile(a *MMapArgs) linux.Errno {
	f := mp.file
	if !f.fits(mp.pgoff, mp.length) {
		return linux.EOVERFLOW
	}
	known := uint64(legacyMapMask)
	if f.DAX || f.THPArea && f.Kind == Regular {
		// ext4 and xfs know the flag (FOP_MMAP_SYNC) and refuse it later, for files without DAX. A tmpfs with
		// huge pages aligns as they do, and does not know it.
		known |= linux.MAP_SYNC
	}
	// MAP_FIXED was set for MAP_FIXED_NOREPLACE, which stays unknown here.
	switch mp.flags & linux.MAP_TYPE {
	case linux.MAP_SHARED, linux.MAP_SHARED_VALIDATE:
		switch {
		case mp.flags&linux.MAP_TYPE == linux.MAP_SHARED_VALIDATE && mp.flags&^known != 0:
			return linux.EOPNOTSUPP
		case a.Prot&linux.PROT_WRITE != 0 && !f.Writable:
			return linux.EACCES
		case f.AppendOnly && f.Writable:
			return linux.EACCES
		}
	case linux.MAP_PRIVATE:
	default:
		return linux.EINVAL
	}
	switch {
	case !f.Readable:
		return linux.EACCES
	case f.NoExec && mp.vmFlags&VM_EXEC != 0:
		return linux.EPERM
	case f.Kind == Unmappable:
		return linux.ENODEV
	case mp.vmFlags&VM_GROWSDOWN != 0:
		return linux.EINVAL
	}
	mp.fileFlags(a.Prot)
	if mp.vmFlags&VM_SHARED != 0 && f.writeSealed() && mp.vmFlags&VM_WRITE != 0 {
		return linux.EPERM
	}
	return 0
}

// fileFlags sets the flags that follow from the file, which permits the mapping.
func (mp *mapping) fileFlags(prot uint64) {
	f := mp.file
	if t := mp.flags & linux.MAP_TYPE; t == linux.MAP_SHARED || t == linux.MAP_SHARED_VALIDATE {
		mp.vmFlags |= VM_SHARED | VM_MAYSHARE
		if !f.Writable {
			mp.vmFlags &^= VM_MAYWRITE | VM_SHARED
		}
	}
	if f.NoExec {
		mp.vmFlags &^= VM_MAYEXEC
	}
	if mp.vmFlags&VM_SHARED != 0 && f.writeSealed() && mp.vmFlags&VM_WRITE == 0 {
		mp.vmFlags &^= VM_MAYWRITE // check_write_seal
	}
}

// writeSealed reports whether the memfd takes no new writable shared mapping.
func (f *File) writeSealed() bool {
	return f.Seals&(linux.F_SEAL_WRITE|linux.F_SEAL_FUTURE_WRITE) != 0
}

// hugeSize returns the size of the huge pages that MAP_HUGETLB's flags ask for; 0 for the
// default where there is none.
func (m *MemoryManager) hugeSize(flags uint64) uint64 {
	log := flags >> linux.MAP_HUGE_SHIFT & linux.MAP_HUGE_MASK
	if log == 0 {
		return m.cfg.DefaultHuge
	}
	return 1 << log
}

// checkHugetlb does ksys_mmap_pgoff's checks: MAP_HUGETLB needs a file of huge pages, or a size
// that the machine has.
func (m *MemoryManager) checkHugetlb(a *MMapArgs) linux.Errno {
	if a.Flags&linux.MAP_HUGETLB == 0 {
		return 0
	}
	if a.File != nil {
		if a.File.Kind != Hugetlb {
			return linux.EINVAL
		}
		return 0
	}
	switch size := m.hugeSize(a.Flags); {
	case size != 0 && size == m.cfg.DefaultHuge, size == 2<<20 && m.cfg.DefaultHuge != 0, size == 1<<30 && m.cfg.GiganticPages:
		return 0
	}
	return linux.EINVAL // hstate_sizelog
}

// hugetlbFile returns the object under an anonymous MAP_HUGETLB mapping (hugetlb_file_setup).
func (m *MemoryManager) hugetlbFile(flags, length uint64) *File {
	return &File{
		Kind: Hugetlb, Name: anonHugeName, HugeSize: m.hugeSize(flags),
		Readable: true, Writable: true, Size: length,
	}
}
