package kernel

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// A System V segment is charged from its making to its end, which may be long after it was attached
// anywhere; and it ends without a call, too, with its last attachment. So segments are looked for when
// memory is short.

// segmentCost returns what a shmget may come to, in pages: it is not known beforehand whether it makes
// a segment.
func segmentCost(a *[6]uint64) uint64 {
	const ipcPrivate = 0
	if int32(a[0]) != ipcPrivate && a[2]&linux.IPC_CREAT == 0 {
		return 0
	}
	return hostarch.Pages(segmentSize(a))
}

// segmentSize returns the bytes that a segment made by a shmget with these arguments has.
func segmentSize(a *[6]uint64) uint64 {
	size := uint64(hostarch.PageSize)
	if a[2]&linux.SHM_HUGETLB != 0 {
		size = hostarch.HugePageSize
		if log := a[2] >> linux.MAP_HUGE_SHIFT & linux.MAP_HUGE_MASK; log != 0 { // as SHM_HUGE_SHIFT
			size = 1 << log
		}
	}
	return (a[1] + size - 1) &^ (size - 1)
}

// uncountable returns why a shmget cannot be charged, nil when it can.
func (k *Kernel) uncountable(t *Task, c *Call) *limits.Refusal {
	if k.ledger == nil || c.Nr != linux.SYS_SHMGET {
		return nil
	}
	if _, err := k.host.Segments(t); err == nil {
		return nil
	}
	// Those of another namespace are not for us to see.
	return &limits.Refusal{Resource: limits.Uncounted, Wanted: segmentSize(&c.Args), Errno: linux.ENOMEM}
}

// chargeSegment charges the segment with identifier id, which a shmget of t has returned, if it was
// made by t's process and is not charged yet.
func (k *Kernel) chargeSegment(t *Task, id int32) {
	if k.ledger == nil {
		return
	}
	all, err := k.host.Segments(t)
	if err != nil {
		return
	}
	info, ok := all[id]
	if !ok || info.Creator != t.Group.TGID && info.Creator != k.maker {
		return
	}
	k.addSegment(t, id, info)
}

// unfinishedSegment charges the segment that a shmget has made whose caller was killed before its end
// was seen: a segment outlives its creator.
func (k *Kernel) unfinishedSegment(t *Task) {
	c := &t.call.call
	if k.ledger == nil || t.space.pending != t || c.Nr != linux.SYS_SHMGET {
		return
	}
	all, err := k.host.Segments(nil) // it was of our own namespace, and t has none any more
	if err != nil {
		return
	}
	for id, info := range all {
		if info.Creator == t.Group.TGID && info.Size == c.Args[1] {
			k.addSegment(t, id, info)
		}
	}
}

// addSegment charges a segment that t's shmget has made, if it is not charged yet.
func (k *Kernel) addSegment(t *Task, id int32, info SegmentInfo) {
	if _, known := k.segments[id]; known {
		return
	}
	k.settle(t) // it was reserved for this
	if k.segments == nil {
		k.segments = make(map[int32]uint64)
	}
	pages := hostarch.Pages(max(hostarch.PageAlign(info.Size), segmentSize(&t.call.call.Args)))
	k.segments[id] = pages
	k.ledger.Force(pages)
}

// collectSegments gives back what segments had that are no more, and reports whether there are any.
func (k *Kernel) collectSegments() bool {
	if len(k.segments) == 0 {
		return false
	}
	all, err := k.host.Segments(nil)
	if err != nil {
		return false
	}
	found := false
	for id, pages := range k.segments {
		if _, ok := all[id]; !ok {
			k.ledger.Uncharge(pages)
			delete(k.segments, id)
			found = true
		}
	}
	return found
}

// adoptSegment remembers a segment of huge pages: nothing else tells it from another one.
func (k *Kernel) adoptSegment(t *Task, got mm.Result) {
	c := &t.call.call
	if got.Errno != 0 {
		return
	}
	k.chargeSegment(t, int32(got.Addr))
	if c.Args[2]&linux.SHM_HUGETLB == 0 {
		return
	}
	if k.hugeSegments == nil {
		k.hugeSegments = make(map[int32]uint64)
	}
	size := k.cfg.DefaultHuge
	if log := c.Args[2] >> linux.MAP_HUGE_SHIFT & linux.MAP_HUGE_MASK; log != 0 { // as SHM_HUGE_SHIFT
		size = 1 << log
	}
	k.hugeSegments[int32(got.Addr)] = size
}
