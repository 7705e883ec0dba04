package mm

import (
	"fmt"
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/procmaps"
	"github.com/runsbx/runsbx/sentry/segment"
)

// SeedInfo is what an exec decides besides the mappings. Zero values are the usual ones.
type SeedInfo struct {
	StartBrk, Brk      hostarch.Addr // the heap
	StartData, EndData hostarch.Addr // the program's data segment, which RLIMIT_DATA counts for brk
	MmapBase           hostarch.Addr // 0: derive it from the mappings
	Layout             Layout
	DefFlags           Flags          // of new VMAs; VM_NOHUGEPAGE is all that lasts over an exec
	StackLimit         uint64         // RLIMIT_STACK at the exec, bytes; 0 = unknown
	NoRandomize        bool           // ADDR_NO_RANDOMIZE, or no randomize_va_space
	Inherit            *MemoryManager // the address space before the exec: MDWE and such last
}

// unmappedBase is where the bottom-up search starts before randomization (TASK_UNMAPPED_BASE).
func (m *MemoryManager) unmappedBase() uint64 {
	return hostarch.PageAlign(uint64(m.cfg.TaskSize) / 3)
}

// Seed sets the address space to what an exec left: entries is the kernel's list. The flags that
// the list does not show are those that the ELF loader gives.
func (m *MemoryManager) Seed(entries []procmaps.Entry, s SeedInfo) error {
	n := New(m.cfg)
	n.layout = s.Layout
	n.randomized = !s.NoRandomize
	n.startBrk, n.brk = s.StartBrk, s.Brk
	n.startData, n.endData = s.StartData, s.EndData
	if s.Inherit != nil {
		n.inherit(s.Inherit)
	}
	n.defFlags |= s.DefFlags
	files := fileTable{}
	for i := range entries {
		e := &entries[i]
		if e.Range.Start >= m.cfg.TaskSize {
			break // [vsyscall] is not in the tree
		}
		if e.Range.End > m.cfg.TaskSize || !e.Range.Start.IsPageAligned() || !e.Range.End.IsPageAligned() {
			return fmt.Errorf("mm: seed: %v is not a user mapping", e.Range)
		}
		v := n.derive(e, files, false)
		if e.Range.Start == 0 {
			v.Flags |= VM_SEALED // MMAP_PAGE_ZERO; load_elf_binary seals it
		}
		n.insert(segment.Segment[VMA]{Start: uint64(e.Range.Start), End: uint64(e.Range.End), Value: v})
	}
	n.deriveBases(s)
	n.resetLegacy(0)
	// The loader maps segments side by side that no later merge looked at.
	n.loose = true
	*m = *n
	return nil
}

// fileTable finds the File of mappings seen before, by identity.
type fileTable map[fileID]*File

type fileID struct{ dev, ino uint64 }

// derive returns the VMA that shows as e. unsure says that mappings of one inode need not come
// from one open file description; those of an exec do.
func (m *MemoryManager) derive(e *procmaps.Entry, files fileTable, unsure bool) VMA {
	v := VMA{Flags: VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC, PgOff: hostarch.Pages(e.Offset), Anon: AnonVMA{Born: m.ops}}
	if e.Read {
		v.Flags |= VM_READ
	}
	if e.Write {
		v.Flags |= VM_WRITE
	}
	if e.Exec {
		v.Flags |= VM_EXEC
	}
	switch {
	case e.Shared:
		v.Flags |= VM_SHARED | VM_MAYSHARE
	case e.Write:
		v.Flags |= VM_ACCOUNT
	}
	if hasFile(e) {
		v.File = files.get(e, unsure)
		switch v.File.Kind {
		case Hugetlb:
			v.Flags = v.Flags&^VM_ACCOUNT | VM_HUGETLB | VM_DONTEXPAND
		case Ring:
			v.Flags |= VM_DONTEXPAND
		}
		if v.File.NoExec {
			v.Flags &^= VM_MAYEXEC
		}
		v.Flags |= v.File.MapFlags
		m.deriveMergeable(&v)
		return v
	}
	v.PgOff = hostarch.Pages(uint64(e.Range.Start))
	switch {
	case e.Name == "[stack]":
		v.Flags |= VM_GROWSDOWN | VM_ACCOUNT
	case strings.HasPrefix(e.Name, "[vvar"):
		v.Flags = v.Flags&vmAccess | VM_MAYREAD | VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP
		v.Rare, v.PgOff = &Rare{Special: e.Name}, 0
	case isSpecialName(e.Name):
		v.Flags |= VM_DONTEXPAND
		v.Rare, v.PgOff = &Rare{Special: e.Name}, 0
	}
	m.deriveMergeable(&v)
	return v
}

// deriveMergeable applies PR_SET_MEMORY_MERGE, which lasts over an exec: to all that it maps but the
// stack, which is there before (ksm_vma_flags).
func (m *MemoryManager) deriveMergeable(v *VMA) {
	if m.mergeAny && v.Flags&VM_GROWSDOWN == 0 && v.canKSM() {
		v.Flags |= VM_MERGEABLE
	}
}

// isSpecialName reports whether a name in the list is that of a mapping of the kernel's own.
func isSpecialName(name string) bool {
	switch name {
	case "", "[heap]", "[stack]":
		return false
	}
	return name[0] == '[' && !strings.HasPrefix(name, "[anon:")
}

// hasFile reports whether the mapping has a file.
func hasFile(e *procmaps.Entry) bool {
	return e.Ino != 0 || e.Major != 0 || e.Minor != 0 || e.Name != "" && e.Name[0] == '/'
}

// get returns the file of e, a new one the first time.
func (t fileTable) get(e *procmaps.Entry, unsure bool) *File {
	id := fileID{e.Dev(), e.Ino}
	if f := t[id]; f != nil {
		return f
	}
	f := &File{
		Kind: kindOf(e), Dev: id.dev, Ino: id.ino, Name: e.Name,
		Readable: true, Writable: e.Shared, UnsureIdentity: unsure,
	}
	switch {
	case f.Kind == Hugetlb:
		f.HugeSize = hostarch.HugePageSize
	case f.Kind == Ring:
		f.NoExec = true // on filesystems from which nothing is executed
	case strings.HasPrefix(e.Name, "/secretmem"):
		f.Kind, f.NoExec, f.MapFlags = Device, true, VM_LOCKED|VM_DONTDUMP
	}
	if isSegmentFile(f) {
		f.Size = e.Offset + e.Range.Length() // an attachment is first seen whole
	}
	t[id] = f
	return f
}

// sysvDev is the device of System V segments, but for those of huge pages: the kernel's internal
// tmpfs is the first file system without a device of its own.
const sysvDev = 1

// kindOf guesses what kind of file a mapping has from its name.
func kindOf(e *procmaps.Entry) FileKind {
	switch name := e.Name; {
	case strings.HasPrefix(name, "/anon_hugepage"):
		return Hugetlb
	case strings.HasPrefix(name, "/SYSV"):
		if e.Dev() != sysvDev {
			return Hugetlb
		}
		return SysV
	case strings.HasPrefix(name, "/[aio]"):
		return Ring
	case name == "/dev/zero":
		return DevZero
	case strings.HasPrefix(name, "/memfd:"), e.Shared && strings.HasPrefix(name, "/dev/zero"):
		return Shmem
	case strings.HasPrefix(name, "/dev/") && !strings.HasPrefix(name, "/dev/shm/"):
		return Device
	}
	return Regular
}

// deriveBases finds where the searches for free addresses start. The first thing that an exec
// places by searching, the dynamic linker or else the vdso, lies at the very start:
//
//	top-down:   ... [libs ...)[ld.so)| mmap_base  ... gap ... [stack)
//	bottom-up:  TASK_UNMAPPED_BASE+random |[ld.so)[vdso) ...
//
// Both bases are randomized by the same amount, so that with the stack limit of the exec the
// one follows from the other (arch_pick_mmap_base).
func (m *MemoryManager) deriveBases(s SeedInfo) {
	m.mmapBase = s.MmapBase
	if m.layout == BottomUp {
		if seg, ok := m.vmas.Find(m.unmappedBase()); ok && m.mmapBase == 0 && seg.Start >= m.unmappedBase() {
			m.mmapBase = hostarch.Addr(seg.Start)
		}
		m.bottomBase, m.topBase = m.mmapBase, m.otherBase(m.mmapBase, s)
		return
	}
	if m.mmapBase == 0 {
		if stack, ok := m.vmas.Last(); ok && stack.Value.Flags&VM_GROWSDOWN != 0 {
			below, lowest := stack.Start, m.unmappedBase()
			if s.StackLimit != 0 {
				// With a huge stack, the program itself may lie above.
				highest := m.highestBase(s.StackLimit, false)
				below, lowest = min(below, highest), min(lowest, highest-mmapRandom)
			}
			if top, ok := m.vmas.Prev(below); ok && top.Start >= lowest {
				m.mmapBase = hostarch.Addr(top.End)
			}
		}
	}
	m.topBase, m.bottomBase = m.mmapBase, m.otherBase(m.mmapBase, s)
}

// otherBase returns the base of the other layout, given the one that the exec chose: the one lies
// as far below its highest place as the other above its lowest.
func (m *MemoryManager) otherBase(base hostarch.Addr, s SeedInfo) hostarch.Addr {
	switch {
	case s.NoRandomize && m.layout == TopDown:
		return hostarch.Addr(m.unmappedBase())
	case s.StackLimit == 0 || base == 0:
		return 0
	}
	return hostarch.Addr(m.unmappedBase() + m.highestBase(s.StackLimit, !s.NoRandomize) - uint64(base))
}

// mmapRandom is more than mmap_base is randomized by (vm.mmap_rnd_bits), with room for what an
// exec maps.
const mmapRandom = 1<<(28+hostarch.PageShift) + 1<<30

// highestBase is mmap_base before its randomization. Above it the stack has its limit, its own
// randomization and its guard, between 128 MB and five sixths of all (mmap_base).
func (m *MemoryManager) highestBase(limit uint64, randomized bool) uint64 {
	const stackRandom = 0x3fffff << hostarch.PageShift
	room, pad := limit, m.cfg.StackGuardGap
	if randomized {
		pad += stackRandom
	}
	if room+pad > room {
		room += pad
	}
	room = min(max(room, 128<<20), uint64(m.cfg.TaskSize)/6*5)
	return hostarch.PageAlign(uint64(m.cfg.TaskSize) - room)
}
