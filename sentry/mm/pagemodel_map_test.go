package mm

import (
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// The calls that map and unmap.

func (s *space) munmap(addr, length uint64) answer {
	task := uint64(s.cfg.TaskSize)
	if addr%pg != 0 || addr > task || length > task-addr || length == 0 {
		return no(linux.EINVAL)
	}
	lo, hi := addr/pg, addr/pg+pagesOf(length)
	if a := s.prepareUnmap(lo, hi); a.refused() {
		return a
	}
	s.remove(lo, hi)
	return answer{}
}

// newFlags are the flags of new memory that follow from the arguments and from the defaults.
func (s *space) newFlags(prot, mapFlags uint64, file *File) Flags {
	if prot&linux.PROT_READ != 0 && s.c.Personality&linux.READ_IMPLIES_EXEC != 0 && (file == nil || !file.NoExec) {
		prot |= linux.PROT_EXEC
	}
	f := Flags(prot)&vmAccess | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | s.defFlags
	for _, x := range []struct {
		flag uint64
		vm   Flags
	}{
		{linux.MAP_GROWSDOWN, VM_GROWSDOWN}, {linux.MAP_LOCKED, VM_LOCKED},
		{linux.MAP_SYNC, VM_SYNC}, {linux.MAP_STACK, VM_NOHUGEPAGE},
	} {
		if mapFlags&x.flag != 0 {
			f |= x.vm
		}
	}
	return f
}

func (s *space) mmap(a MMapArgs) answer {
	if a.Offset%pg != 0 || a.Length == 0 {
		return no(linux.EINVAL)
	}
	fixed := a.Flags&(linux.MAP_FIXED|linux.MAP_FIXED_NOREPLACE) != 0
	w := wish{hint: uint64(a.Addr), n: pagesOf(a.Length), off: a.Offset / pg, flags: a.Flags, file: a.File}
	if fixed {
		w.flags |= linux.MAP_FIXED
	} else {
		w.hint -= w.hint % pg
		if w.hint != 0 {
			w.hint = max(w.hint, s.minPage()*pg)
		}
	}
	switch {
	case w.n == 0:
		return no(linux.ENOMEM) // the length wrapped
	case w.off+w.n < w.off:
		return no(linux.EOVERFLOW)
	case s.vmas() > uint64(s.cfg.MaxMapCount):
		return limited(limits.MapCount)
	}
	at := s.find(w)
	if at.refused() {
		return at
	}
	lo := at.addr / pg
	hi := lo + w.n
	if a.Flags&linux.MAP_FIXED_NOREPLACE != 0 {
		for p := lo; p < hi; p++ {
			if s.has(p) {
				return no(linux.EEXIST)
			}
		}
	}
	if a.Flags&linux.MAP_LOCKED != 0 && !s.mayLockAtAll() {
		return limited(limits.MemLock).as(linux.EPERM)
	}
	p := page{flags: s.newFlags(a.Prot, a.Flags, a.File), file: a.File, off: w.off}
	if no := s.mayLock(p.flags, w.n); no.refused() {
		return no
	}
	var errno linux.Errno
	if a.File == nil {
		errno = p.anonymousType(a.Flags, lo)
	} else {
		errno = p.fileType(a.Flags, a.Prot, w.n)
	}
	if errno != 0 {
		return no(errno)
	}
	if a.Flags&linux.MAP_NORESERVE != 0 && s.cfg.Overcommit != 2 {
		p.flags |= VM_NORESERVE
	}
	if got := s.mapRegion(lo, hi, p); got.refused() || got.unsure {
		return got
	}
	if p.is(VM_LOCKED) || a.Flags&(linux.MAP_POPULATE|linux.MAP_NONBLOCK) == linux.MAP_POPULATE {
		s.populate(lo, hi, true)
	}
	return at
}

// anonymousType applies the type of a mapping without a file, which lies at the page at.
func (p *page) anonymousType(flags, at uint64) linux.Errno {
	p.off = at
	switch flags & linux.MAP_TYPE {
	case linux.MAP_SHARED:
		if p.is(VM_GROWSDOWN) {
			return linux.EINVAL
		}
		p.flags |= VM_SHARED | VM_MAYSHARE
		p.off = 0
	case linux.MAP_PRIVATE:
	case linux.MAP_DROPPABLE:
		if flags&linux.MAP_LOCKED != 0 || p.is(VM_GROWSDOWN) {
			return linux.EINVAL
		}
		p.flags |= VM_DROPPABLE | VM_NORESERVE | VM_WIPEONFORK | VM_DONTDUMP
	default:
		return linux.EINVAL
	}
	return 0
}

// fileType applies the type of the mapping of n pages of a file, if the file may be mapped so.
func (p *page) fileType(flags, prot, n uint64) linux.Errno {
	f, shared := p.file, false
	largest := uint64(1<<63 - 1)
	if f.MaxSize != 0 {
		largest = f.MaxSize
	}
	if n*pg > largest || p.off > (largest-n*pg)/pg {
		return linux.EOVERFLOW
	}
	switch flags & linux.MAP_TYPE {
	case linux.MAP_SHARED_VALIDATE:
		// It refuses the flags that the first kernel with MAP_SHARED_VALIDATE did not know.
		if flags&linux.MAP_FIXED_NOREPLACE != 0 || flags&linux.MAP_SYNC != 0 && (!f.THPArea || f.Kind != Regular) {
			return linux.EOPNOTSUPP
		}
		fallthrough
	case linux.MAP_SHARED:
		shared = true
		if prot&linux.PROT_WRITE != 0 && !f.Writable || f.AppendOnly && f.Writable {
			return linux.EACCES
		}
	case linux.MAP_PRIVATE:
	default:
		return linux.EINVAL
	}
	switch {
	case !f.Readable:
		return linux.EACCES
	case f.NoExec && p.is(VM_EXEC):
		return linux.EPERM
	case f.Kind == Unmappable:
		return linux.ENODEV
	case p.is(VM_GROWSDOWN):
		return linux.EINVAL
	}
	if f.NoExec {
		p.flags &^= VM_MAYEXEC
	}
	if !shared {
		return 0
	}
	p.flags |= VM_SHARED | VM_MAYSHARE
	sealed := f.Seals&(linux.F_SEAL_WRITE|linux.F_SEAL_FUTURE_WRITE) != 0
	switch {
	case !f.Writable:
		p.flags &^= VM_SHARED | VM_MAYWRITE
	case sealed && p.is(VM_WRITE):
		return linux.EPERM
	case sealed:
		p.flags &^= VM_MAYWRITE
	}
	return 0
}

// mapRegion replaces the pages [lo, hi) by p.
func (s *space) mapRegion(lo, hi uint64, p page) answer {
	if s.mdwe && p.is(VM_EXEC) && p.is(VM_WRITE) {
		return no(linux.EACCES)
	}
	before := s.clone()
	if a := s.prepareUnmap(lo, hi); a.refused() {
		return a
	}
	// What is replaced is taken off before the limits are looked at.
	var mapped, charged uint64
	for q := lo; q < hi; q++ {
		if s.has(q) {
			mapped++
		}
		if s.at(q).is(VM_ACCOUNT) {
			charged++
		}
	}
	n := hi - lo
	if why := s.mayExpand(p.flags, n-mapped); why != "" {
		return limited(why) // what was split stays split
	}
	newObject := p.is(VM_SHARED) && (p.file == nil || p.file.Kind == DevZero)
	if p.is(VM_WRITE) && !p.is(VM_SHARED|VM_NORESERVE) {
		if n != charged {
			if why := s.machineHas(n - charged); why != "" {
				return limited(why)
			}
		}
		p.flags |= VM_ACCOUNT
	}
	if p.is(VM_SYNC) && p.file != nil && p.file.Kind == Regular {
		*s = *before
		return unsureAnswer() // filesystems differ
	}
	if newObject && !p.is(VM_NORESERVE) {
		if why := s.machineHas(n); why != "" {
			s.remove(lo, hi) // the old memory is gone by the time that the object is made
			return limited(why)
		}
	}
	s.remove(lo, hi)
	if newObject {
		p.file = s.object(lo * pg)
	}
	if p.file != nil && p.file.Kind == Ring {
		p.flags |= VM_DONTEXPAND
	}
	if s.mergeAny && p.mayKSM() {
		p.flags |= VM_MERGEABLE
	}
	if p.is(VM_LOCKED) && p.is(vmSpecial|VM_DROPPABLE) {
		// It was compared with its neighbours while it was still to be locked.
		p.flags &^= VM_LOCKED | VM_LOCKONFAULT
		s.place(lo, hi, p)
		return answer{}
	}
	s.put(lo, hi, p)
	return answer{}
}

// mayKSM reports whether KSM may look at the memory.
func (p page) mayKSM() bool { return !p.is(VM_SHARED | VM_MAYSHARE | vmSpecial | VM_DROPPABLE) }

func (s *space) brkTo(addr uint64) answer {
	stays := returns(s.brk)
	if addr < s.startBrk {
		return stays
	}
	if l := s.c.Limits.Data; l != linux.RLIM_INFINITY && addr-s.startBrk+s.dataLen > l {
		stays.why = limits.Data
		return stays
	}
	from, to := pagesOf(s.brk), pagesOf(addr)
	switch {
	case to < from:
		if first, ok := s.next(to); !ok || first >= from {
			return stays
		}
		if a := s.prepareUnmap(to, from); a.refused() {
			stays.why = a.why
			return stays
		}
		s.remove(to, from)
	case to > from:
		if a := s.growHeap(from, to); a.refused() {
			stays.why = a.why
			return stays
		}
	}
	s.brk = addr
	return returns(addr)
}

// growHeap maps the pages [from, to) behind the break. A page, and the guard of a stack, stay free
// above them.
func (s *space) growHeap(from, to uint64) answer {
	n := to - from
	if a := s.find(wish{hint: from * pg, n: n, flags: linux.MAP_FIXED}); a.refused() {
		return a
	}
	if a := s.mayLock(s.defFlags, n); a.refused() {
		return a
	}
	if !s.free(from, n+1) {
		return limited(limits.Space)
	}
	p := page{flags: s.newFlags(rw, 0, nil) | VM_ACCOUNT, off: from}
	if s.mergeAny {
		p.flags |= VM_MERGEABLE
	}
	if why := s.mayExpand(p.flags, n); why != "" {
		return limited(why)
	}
	if s.vmas() > uint64(s.cfg.MaxMapCount) {
		return limited(limits.MapCount)
	}
	if why := s.machineHas(n); why != "" {
		return limited(why)
	}
	s.place(from, to, p)
	// The heap grows into the VMA before it, if that is the heap's; never into what lies above.
	if from*pg > s.startBrk && s.joins(from) {
		s.bound(from, to, true, false)
	}
	if s.defFlags&VM_LOCKED != 0 {
		s.populate(from, to, true)
	}
	return answer{}
}

// shmat attaches a segment, which is a file of its own each time.
func (s *space) shmat(seg *File, addr, flags uint64) answer {
	if addr%pg != 0 && flags&linux.SHM_RND == 0 {
		return no(linux.EINVAL)
	}
	fixed := addr != 0
	if addr -= addr % pg; addr == 0 && flags&linux.SHM_REMAP != 0 {
		return no(linux.EINVAL)
	}
	n := pagesOf(seg.Size)
	if addr != 0 && flags&linux.SHM_REMAP == 0 {
		for p := addr / pg; p < addr/pg+n; p++ {
			if s.has(p) {
				return no(linux.EINVAL)
			}
		}
	}
	f := *seg
	f.Readable, f.Writable = true, flags&linux.SHM_RDONLY == 0
	a := MMapArgs{Addr: hostarch.Addr(addr), Length: seg.Size, Prot: linux.PROT_READ, Flags: linux.MAP_SHARED, File: &f}
	if f.Writable {
		a.Prot |= linux.PROT_WRITE
	}
	if flags&linux.SHM_EXEC != 0 {
		a.Prot |= linux.PROT_EXEC
	}
	if fixed {
		a.Flags |= linux.MAP_FIXED
	}
	got := s.mmap(a)
	s.rename(&f, got)
	return got
}

// rename puts the manager's object in the place of f, which the call that was answered a has mapped.
func (s *space) rename(f *File, a answer) {
	for q, p := range s.each() {
		if p.file == f {
			p.file = s.object(a.addr)
			s.set(q, p)
		}
	}
}

// shmdt detaches what is left of the attachment at addr: every page of the same file that lies where it
// was attached. The first VMA of any segment that lies right for addr says which file that is.
func (s *space) shmdt(addr uint64) answer {
	if addr%pg != 0 {
		return no(linux.EINVAL)
	}
	at := addr / pg
	attached := func(p uint64) bool {
		v := s.at(p)
		return v.file != nil && v.file.Kind == SysV && p >= at && v.off == p-at
	}
	var file *File
	end := uint64(0)
	for p, ok := s.next(at); ok; {
		lo, hi := s.vma(p)
		switch {
		case file != nil && hi > end:
			return answer{}
		case attached(lo) && (file == nil || s.at(lo).file == file):
			file = s.at(lo).file
			end = at + pagesOf(file.Size)
			if !s.at(lo).is(VM_SEALED) {
				s.remove(lo, hi)
			}
		}
		p, ok = s.next(hi)
	}
	if file == nil {
		return no(linux.EINVAL)
	}
	return answer{}
}

// remapFilePages maps other pages of a shared mapping's file over it.
func (s *space) remapFilePages(addr, size, prot, off, flags uint64) answer {
	lo, n := addr/pg, size/pg
	if prot != 0 || n == 0 || lo+n >= 1<<52 || off+n < off {
		return no(linux.EINVAL)
	}
	v, ok := s.at(lo), s.has(lo)
	if !ok || !v.is(VM_SHARED) {
		return no(linux.EINVAL)
	}
	for p := lo; p < lo+n; p++ {
		// Further VMAs have to be of the same file, with the same flags.
		if q := s.at(p); !s.has(p) || q.first && p > lo && (q.file != v.file || q.flags != v.flags) {
			return no(linux.EINVAL)
		}
	}
	if off+n > 1<<51 {
		return no(linux.EOVERFLOW)
	}
	a := MMapArgs{Addr: hostarch.Addr(lo * pg), Length: n * pg, Prot: uint64(v.flags & vmAccess), File: v.file, Offset: off * pg}
	a.Flags = flags&linux.MAP_NONBLOCK | linux.MAP_SHARED | linux.MAP_FIXED | linux.MAP_POPULATE
	if v.is(VM_LOCKED) {
		a.Flags |= linux.MAP_LOCKED
	}
	got := s.mmap(a)
	got.addr = 0
	return got
}

// ioSetup maps the ring of an AIO context; why it cannot is not said.
func (s *space) ioSetup(events uint64) answer {
	if events == 0 {
		return no(linux.EINVAL)
	}
	// A header and two events more than twice as many as asked for, 32 bytes each.
	n := 2*max(events, 4*uint64(s.cfg.CPUs)) + 3
	f := &File{Kind: Ring, Readable: true, Writable: true, NoExec: true, Size: pagesOf(32*n) * pg}
	got := s.mmap(MMapArgs{Length: f.Size, Prot: rw, Flags: linux.MAP_SHARED, File: f})
	s.rename(f, got)
	if got.refused() {
		got.errno = linux.ENOMEM
	} else {
		s.rings[s.at(got.addr/pg).file] = true
	}
	return got
}

// ioDestroy unmaps a ring, if it is still whole.
func (s *space) ioDestroy(addr uint64) answer {
	p, ok := s.at(addr/pg), s.has(addr/pg)
	if !ok || p.file == nil || p.file.Kind != Ring || !p.is(vmAccess) || !s.rings[p.file] {
		return no(linux.EINVAL)
	}
	lo, hi := s.vma(addr / pg)
	if lo*pg != addr || p.off != 0 || hi-lo != p.file.Size/pg {
		return unsureAnswer()
	}
	delete(s.rings, p.file)
	s.munmap(addr, (hi-lo)*pg) // a sealed ring stays; nobody is told
	return answer{}
}

// isAnonShmem reports whether the page is shared memory without a name in any filesystem.
func (p page) isAnonShmem() bool {
	return p.file != nil && p.file.Kind == Shmem &&
		(strings.HasPrefix(p.file.Name, "/memfd:") || strings.HasSuffix(p.file.Name, " (deleted)"))
}
