package mm

import (
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Where MAP_32BIT searches (find_start_end); with PF_RANDOMIZE the start is random.
const (
	low32Start = 0x40000000
	low32End   = 0x80000000
)

// above4G is where a MAP_ABOVE4G search ends, going down.
const above4G = 4 << 30

// maxErrno is the largest number that is taken for an errno when it is returned negated
// (MAX_ERRNO).
const maxErrno = 4095

// area is the outcome of a search for a free range. The zero Errno and unsure together say that
// the address cannot be known; then addr is meaningless.
type area struct {
	addr   uint64
	errno  linux.Errno
	unsure bool
}

func areaAt(addr uint64) area       { return area{addr: addr} }
func noArea(errno linux.Errno) area { return area{errno: errno} }
func (a area) known() bool          { return a.errno == 0 && !a.unsure }

// areaRequest is what a search is asked for: length bytes at hint or anywhere, for the offset
// pgoff in pages of file.
type areaRequest struct {
	hint, length, pgoff uint64
	flags               uint64 // MAP_*
	vmFlags             Flags
	file                *File
}

// areaFor returns an address for q on behalf of c: the hint itself where MAP_FIXED says so, the hint
// where that is free, else the place that the layout gives (__get_unmapped_area). It does not look
// whether a fixed range is free.
//
// Errnos: ENOMEM (too long, or no free range), EINVAL (a fixed address is not aligned), EPERM (an
// address below vm.mmap_min_addr without CAP_SYS_RAWIO).
func (m *MemoryManager) areaFor(c *Caller, q areaRequest) (hostarch.Addr, linux.Errno, *limits.Refusal, bool) {
	taskSize := uint64(m.cfg.TaskSize)
	if q.length > taskSize {
		return 0, linux.ENOMEM, m.spaceRefusal(q.length), false
	}
	if q.file == nil {
		q.pgoff = 0
	}
	a := m.searchByKind(q)
	switch {
	case a.unsure:
		return 0, 0, nil, true
	case a.errno == linux.ENOMEM:
		return 0, a.errno, m.spaceRefusal(q.length), false
	case a.errno != 0:
		return 0, a.errno, nil, false
	case -a.addr <= maxErrno && a.addr != 0:
		return 0, linux.Errno(-a.addr), nil, false // a fixed address up there is taken for an error
	case a.addr > taskSize-q.length:
		return 0, linux.ENOMEM, m.spaceRefusal(q.length), false
	case a.addr&(hostarch.PageSize-1) != 0:
		return 0, linux.EINVAL, nil, false
	case a.addr < m.cfg.dacMinAddr() && !c.Creds.SysRawIO:
		return 0, linux.EPERM, nil, false // cap_mmap_addr
	}
	return hostarch.Addr(a.addr), 0, nil, false
}

// dacMinAddr returns the address below which cap_mmap_addr asks for CAP_SYS_RAWIO.
func (c *Config) dacMinAddr() uint64 {
	if c.DACMinAddr != 0 {
		return uint64(c.DACMinAddr)
	}
	return uint64(c.MmapMinAddr)
}

// spaceRefusal says that length bytes of addresses are not to be had.
func (m *MemoryManager) spaceRefusal(length uint64) *limits.Refusal {
	return &limits.Refusal{
		Resource: limits.Space,
		Used:     m.totals.TotalVM << hostarch.PageShift,
		Wanted:   length,
		Limit:    uint64(m.cfg.TaskSize),
		Errno:    linux.ENOMEM,
	}
}

// searchByKind dispatches to the file's get_unmapped_area.
func (m *MemoryManager) searchByKind(q areaRequest) area {
	f := q.file
	switch {
	case m.layout == Legacy && (f == nil || f.Kind != Hugetlb):
		return m.search(q) // nothing was aligned for huge pages then
	case f == nil && q.flags&linux.MAP_SHARED != 0: // also MAP_SHARED_VALIDATE
		return m.shmemArea(q)
	case f == nil:
		if m.cfg.alignsAnon(q.length, q.hint) {
			return m.thpArea(q)
		}
		return m.search(q)
	case f.Kind == Hugetlb:
		return m.hugetlbArea(q)
	case f.Kind == Shmem || f.Kind == SysV:
		return m.shmemArea(q)
	case f.Kind == DevZero:
		if q.flags&linux.MAP_SHARED != 0 {
			return m.shmemArea(q)
		}
		if m.cfg.THP {
			return m.thpArea(q)
		}
		return m.search(q)
	case f.THPArea && m.cfg.THP:
		return m.thpArea(q)
	}
	return m.search(q)
}

// thpArea aligns mappings that can hold a huge page so that offset and address agree modulo its
// size (__thp_get_unmapped_area): it asks for a huge page more and places the mapping in that.
func (m *MemoryManager) thpArea(q areaRequest) area {
	const size = hostarch.HugePageSize
	off := q.pgoff << hostarch.PageShift
	end, firstHuge := off+q.length, (off+size-1)&^uint64(size-1)
	padded := q.length + size
	// The kernel's offsets are signed (loff_t), but what they are added to or compared with is not.
	if int64(end) <= int64(firstHuge) || end-firstHuge < size || padded < q.length || off+padded < off {
		return m.search(q)
	}
	pq := q
	pq.length = padded
	a := m.search(pq)
	if a.unsure {
		return a
	}
	if a.errno != 0 {
		return m.search(q) // the padding may have been what did not fit
	}
	if a.addr == q.hint {
		return a
	}
	sub := (off - a.addr) & (size - 1)
	if m.layout == TopDown && sub == 0 {
		return areaAt(a.addr + size)
	}
	return areaAt(a.addr + sub)
}

// shmemArea aligns shared anonymous memory and memfds for huge pages, where they may have them
// (shmem_get_unmapped_area).
func (m *MemoryManager) shmemArea(q areaRequest) area {
	const size = hostarch.HugePageSize
	taskSize := uint64(m.cfg.TaskSize)
	plain := m.search(q)
	if !plain.known() || !m.cfg.THP || plain.addr%hostarch.PageSize != 0 || plain.addr > taskSize-q.length {
		return plain
	}
	if q.flags&linux.MAP_FIXED != 0 || q.hint == plain.addr || !m.shmemHuge(q.file) || q.length < size {
		return plain
	}
	offset := q.pgoff << hostarch.PageShift & (size - 1)
	if offset != 0 && offset+q.length < 2*size || plain.addr&(size-1) == offset {
		return plain
	}
	inflated := q.length + size - hostarch.PageSize
	if inflated > taskSize {
		return plain
	}
	iq := q
	iq.file, iq.length, iq.pgoff = nil, inflated, 0
	a := m.search(iq)
	if a.unsure {
		return a
	}
	if a.errno != 0 || a.addr%hostarch.PageSize != 0 {
		return plain
	}
	within := a.addr & (size - 1)
	a.addr += offset - within
	if within > offset {
		a.addr += size
	}
	if a.addr > taskSize-q.length {
		return plain
	}
	return a
}

// shmemHuge reports whether the filesystem under shared memory gives huge pages: the kernel's
// own internal mount does as the configuration says, a mounted tmpfs as File.THPArea says.
func (m *MemoryManager) shmemHuge(f *File) bool {
	if f == nil || f.Kind == DevZero || f.Kind == SysV || f.Name == sharedAnonName || strings.HasPrefix(f.Name, "/memfd:") {
		return m.cfg.ShmemHuge
	}
	return f.THPArea
}

// hugetlbArea places a mapping of huge pages (hugetlb_get_unmapped_area).
func (m *MemoryManager) hugetlbArea(q areaRequest) area {
	mask := q.file.HugeSize - 1
	if q.length&mask != 0 || q.flags&linux.MAP_FIXED != 0 && q.hint&mask != 0 {
		return noArea(linux.EINVAL)
	}
	if q.hint != 0 {
		q.hint = (q.hint + mask) &^ mask
	}
	return m.search(q)
}

// search looks in the direction of the layout (mm_get_unmapped_area_vmflags).
func (m *MemoryManager) search(q areaRequest) area {
	switch {
	case m.layout == TopDown:
		return m.searchTopDown(q)
	case m.layout == Legacy && q.flags&linux.MAP_32BIT == 0 && q.alignMask() == 0:
		return m.searchLegacy(q)
	}
	return m.searchBottomUp(q)
}

// alignMask returns the alignment that the file needs, as a mask of address bits above the page
// offset; only huge pages need one.
func (q *areaRequest) alignMask() uint64 {
	if q.file != nil && q.file.Kind == Hugetlb {
		return (q.file.HugeSize - 1) &^ uint64(hostarch.PageSize-1)
	}
	return 0
}

// searchTopDown mirrors arch_get_unmapped_area_topdown: a free hint, else the highest fit below
// mmap_base, else bottom-up.
func (m *MemoryManager) searchTopDown(q areaRequest) area {
	if q.length > uint64(m.cfg.TaskSize) {
		return noArea(linux.ENOMEM)
	}
	if q.flags&linux.MAP_FIXED != 0 {
		return areaAt(q.hint)
	}
	if q.flags&linux.MAP_32BIT != 0 {
		return m.searchBottomUp(q)
	}
	if q.hint != 0 {
		addr := q.hint &^ (hostarch.PageSize - 1)
		// mmap_address_hint_valid; a hint above 47 bits is not below the task size.
		if uint64(m.cfg.TaskSize)-q.length >= addr && m.hintFree(addr, q.length) {
			return areaAt(addr)
		}
	}
	low := uint64(hostarch.PageSize)
	if q.flags&linux.MAP_ABOVE4G != 0 && !m.cfg.before(6, 6) {
		low = above4G
	}
	if m.mmapBase == 0 {
		return area{unsure: true}
	}
	// A hint above 47 bits would widen the search to 56 bits, if there were five levels.
	if a := m.highestGap(low, uint64(m.mmapBase), q.length, q.alignMask()); a.known() {
		return a
	}
	return m.searchBottomUp(q)
}

// searchBottomUp mirrors arch_get_unmapped_area: a free hint, else the lowest fit above the
// legacy mmap base.
func (m *MemoryManager) searchBottomUp(q areaRequest) area {
	if q.flags&linux.MAP_FIXED != 0 {
		return areaAt(q.hint)
	}
	begin, end := uint64(m.bottomBase), uint64(m.cfg.TaskSize)
	if m.layout != TopDown {
		begin = uint64(m.mmapBase)
	}
	unsure := begin == 0
	if q.flags&linux.MAP_32BIT != 0 {
		begin, end, unsure = low32Start, low32End, m.randomized
	}
	if q.length > end {
		return noArea(linux.ENOMEM)
	}
	if q.hint != 0 {
		addr := hostarch.PageAlign(q.hint)
		if end-q.length >= addr && m.hintFree(addr, q.length) {
			return areaAt(addr)
		}
	}
	if unsure {
		return area{unsure: true}
	}
	return m.lowestGap(begin, end, q.length, q.alignMask())
}

// hintFree reports whether [addr, addr+length) is free and keeps away from a stack above it. The
// kernel looks only at the first VMA that ends above addr.
func (m *MemoryManager) hintFree(addr, length uint64) bool {
	seg, ok := m.vmas.Find(addr)
	return !ok || addr+length <= m.startGap(seg)
}

// lowestGap mirrors unmapped_area: the lowest free range of length bytes in [low, high), with
// the address aligned to mask.
func (m *MemoryManager) lowestGap(low, high, length, mask uint64) area {
	padded := length + mask
	if padded < length {
		return noArea(linux.ENOMEM)
	}
	low = max(low, uint64(m.cfg.MmapMinAddr))
	for {
		start, _, ok := m.vmas.GapUp(low, high, padded)
		if !ok {
			return noArea(linux.ENOMEM)
		}
		gap := start + -start&mask
		next, ok := m.vmas.Find(start)
		if !ok || m.startGap(next) == next.Start || m.startGap(next) >= gap+padded-1 {
			return areaAt(gap)
		}
		low = next.End // the gap below a stack is too small once its guard is taken off
	}
}

// highestGap mirrors unmapped_area_topdown: the highest free range of length bytes in
// [low, high), with the address aligned to mask.
func (m *MemoryManager) highestGap(low, high, length, mask uint64) area {
	padded := length + mask
	if padded < length {
		return noArea(linux.ENOMEM)
	}
	low = max(low, uint64(m.cfg.MmapMinAddr))
	for {
		_, end, ok := m.vmas.GapDown(low, high, padded)
		if !ok {
			return noArea(linux.ENOMEM)
		}
		next, ok := m.vmas.Find(end)
		if !ok || m.startGap(next) == next.Start || m.startGap(next) >= end {
			gap := end - length
			return areaAt(gap - gap&mask)
		}
		if high = m.startGap(next); high == 0 {
			// The kernel goes on below the end of all addresses, and takes what it finds up
			// there for an answer: there is no second search, upwards.
			return areaAt(uint64(m.cfg.TaskSize))
		}
	}
}
