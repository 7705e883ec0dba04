// Package mm is Linux's memory manager for one address space, as a pure value: the VMA tree, the
// search for free addresses, the accounting, and what every memory call does to them. It makes
// no system calls and knows no time, so that the same calls always give the same answers.
//
// Every operation checks in the kernel's own order and answers with the kernel's own errno.
// Unless Result.Partial says otherwise, a refused operation changes nothing.
//
// A MemoryManager is not safe for concurrent use: its caller orders the operations, as
// mmap_lock does in the kernel.
package mm

import (
	"fmt"
	"iter"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/segment"
)

// MemoryManager is one address space (mm_struct).
type MemoryManager struct {
	cfg    *Config
	vmas   segment.Set[VMA] // by address in bytes
	totals Totals

	mmapBase   hostarch.Addr // where the search starts; 0 = unknown
	topBase    hostarch.Addr // where a top-down search starts, or would; 0 = unknown
	bottomBase hostarch.Addr // where a bottom-up search starts, or would, the top-down layout's fallback; 0 = unknown
	layout     Layout
	legacy     legacySearch // for Legacy
	randomized bool         // PF_RANDOMIZE at exec: MAP_32BIT starts at a random place

	startBrk, brk      hostarch.Addr
	startData, endData hostarch.Addr

	defFlags      Flags // of every new VMA (mlockall(MCL_FUTURE), ...)
	mdwe          bool  // PR_MDWE_REFUSE_EXEC_GAIN
	mdweNoInherit bool  // PR_MDWE_NO_INHERIT
	mergeAny      bool  // PR_SET_MEMORY_MERGE

	dontCopy uint64 // pages of VM_DONTCOPY VMAs, so that fork knows whether it must look for them
	// lockedLeak is pages of LockedVM that no VMA accounts for: mremap(MREMAP_DONTUNMAP) leaves
	// them behind in the kernel, too.
	lockedLeak uint64
	kept       bool   // there was such an mremap since the kernel's list was last looked at
	untouched  bool   // see AssumeUntouched
	ops        uint32 // operations so far; see AnonVMA.Born
	forkedAt   uint32 // ops when this address space was made by fork; 0 = it was not
	atFork     *segment.Set[VMA]
	anonIDs    uint32               // AnonVMA.IDs given out so far
	aioRings   []*File              // of the AIO contexts that exist; a slice is never changed
	pkeyTried  bool                 // see PkeyAlloc
	guards     []hostarch.AddrRange // see setGuards
	loose      bool                 // neighbours that could merge may legitimately lie side by side
}

// Caller is the process on whose behalf an operation runs.
type Caller struct {
	Limits      limits.Rlimits
	Creds       Creds
	Personality uint64
}

// New returns an empty address space.
func New(cfg *Config) *MemoryManager {
	return &MemoryManager{cfg: cfg, ops: 1}
}

// Totals returns the counters of the address space.
func (m *MemoryManager) Totals() Totals { return m.totals }

// MmapBase returns where the search for free addresses starts; 0 when that is not known.
func (m *MemoryManager) MmapBase() hostarch.Addr { return m.mmapBase }

// SetMmapBase makes the search for free addresses start at base.
func (m *MemoryManager) SetMmapBase(base hostarch.Addr) {
	m.mmapBase = base
	m.resetLegacy(0)
}

// Layout returns how free addresses are searched for.
func (m *MemoryManager) Layout() Layout { return m.layout }

// BrkRange returns the heap: its fixed start and the present break.
func (m *MemoryManager) BrkRange() hostarch.AddrRange {
	return hostarch.AddrRange{Start: m.startBrk, End: m.brk}
}

// All yields the VMAs in ascending order. The address space may not be changed meanwhile.
func (m *MemoryManager) All() iter.Seq2[hostarch.AddrRange, VMA] {
	return func(yield func(hostarch.AddrRange, VMA) bool) {
		for seg := range m.vmas.All() {
			if !yield(rangeOf(seg), seg.Value) {
				return
			}
		}
	}
}

// Within yields the VMAs that overlap r, in ascending order. The address space may not be changed
// meanwhile.
func (m *MemoryManager) Within(r hostarch.AddrRange) iter.Seq2[hostarch.AddrRange, VMA] {
	return func(yield func(hostarch.AddrRange, VMA) bool) {
		for seg := range m.vmas.Range(uint64(r.Start), uint64(r.End)) {
			if !yield(rangeOf(seg), seg.Value) {
				return
			}
		}
	}
}

// Find returns the VMA that contains addr.
func (m *MemoryManager) Find(addr hostarch.Addr) (hostarch.AddrRange, VMA, bool) {
	seg, ok := m.vmas.At(uint64(addr))
	return rangeOf(seg), seg.Value, ok
}

// Snapshot is the state of an address space at one time.
type Snapshot struct{ m MemoryManager }

// Snapshot returns the present state, in constant time.
func (m *MemoryManager) Snapshot() Snapshot {
	s := Snapshot{*m}
	s.m.vmas = m.vmas.Clone()
	return s
}

// Restore goes back to the state s. It may be called more than once with the same s.
func (m *MemoryManager) Restore(s Snapshot) {
	*m = s.m
	m.vmas = s.m.vmas.Clone()
}

// CheckInvariants returns an error when the state contradicts itself: the tree is malformed,
// the totals are not the sums over the VMAs, or neighbours lie side by side that must have been
// merged.
func (m *MemoryManager) CheckInvariants() error {
	if err := m.vmas.CheckInvariants(); err != nil {
		return err
	}
	var sum MemoryManager
	var last segment.Segment[VMA]
	for seg := range m.vmas.All() {
		if seg.Start >= seg.End || (seg.Start|seg.End)%hostarch.PageSize != 0 {
			return fmt.Errorf("mm: VMA %v is empty or not page-aligned", rangeOf(seg))
		}
		if hostarch.Addr(seg.End) > m.cfg.TaskSize {
			return fmt.Errorf("mm: VMA %v ends above the task size %v", rangeOf(seg), m.cfg.TaskSize)
		}
		if seg.Value.Flags&VM_SHARED != 0 && seg.Value.Flags&VM_MAYSHARE == 0 {
			return fmt.Errorf("mm: VMA %v is VM_SHARED and not VM_MAYSHARE", rangeOf(seg))
		}
		if seg.Value.Flags&(VM_SHARED|VM_ACCOUNT) == VM_SHARED|VM_ACCOUNT {
			return fmt.Errorf("mm: VMA %v is shared and charged to the address space", rangeOf(seg))
		}
		if !m.loose && last.End == seg.Start && last.End != 0 && m.mergeable(last, seg) &&
			!hasClose(&last.Value) {
			return fmt.Errorf("mm: VMAs %v and %v were not merged", rangeOf(last), rangeOf(seg))
		}
		sum.account(seg.Value.Flags, hostarch.Pages(seg.End-seg.Start))
		sum.totals.MapCount++
		last = seg
	}
	sum.totals.LockedVM += m.lockedLeak
	if sum.totals != m.totals {
		return fmt.Errorf("mm: totals %+v, but the VMAs sum up to %+v", m.totals, sum.totals)
	}
	if sum.dontCopy != m.dontCopy {
		return fmt.Errorf("mm: %d pages of VM_DONTCOPY counted, %d found", m.dontCopy, sum.dontCopy)
	}
	return nil
}

func rangeOf(seg segment.Segment[VMA]) hostarch.AddrRange {
	return hostarch.AddrRange{Start: hostarch.Addr(seg.Start), End: hostarch.Addr(seg.End)}
}
