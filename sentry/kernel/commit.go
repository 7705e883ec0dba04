package kernel

import (
	"fmt"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// The ledger counts what all address spaces of the sandbox have committed, and what they share, once.
// A call's charge is what it changes of what its address space costs:
//
//	cost     what the model says that the space costs now
//	held     what calls in flight give back: they may not have taken place yet
//	reserved what calls whose outcome only the host knows may come to
//
// The ledger holds the sum of all three at any time, so that the kernel never has granted more than
// the limit, in whichever order the calls take effect.

// bill is what one address space is charged. All amounts are pages.
type bill struct {
	cost uint64
	held uint64
	// stackMax is how large, in bytes, stacks of it may grow without being asked about.
	stackMax uint64
	shared   uint64 // pages of shared mappings when the objects were last looked at
	objects  map[*mm.File]bool
	vacated  bool // it has ended, and costs nothing any more
}

// debt is what a call has to settle when it is over. Amounts are pages.
type debt struct {
	reserved uint64
	freed    uint64     // held until then
	dropped  []*mm.File // objects likewise
}

// object is memory that is charged once, however many address spaces share it.
type object struct {
	pages uint64
	refs  int // address spaces that map it, and calls in flight that unmap it
}

// SetLedger has the memory of the whole sandbox counted, and limited as l says. It is called before
// the first task.
func (k *Kernel) SetLedger(l limits.Ledger) { k.ledger = &l }

// Counts reports whether memory is counted in a ledger.
func (k *Kernel) Counts() bool { return k.ledger != nil }

// Committed returns what the ledger has, and the most that it ever had, in bytes; zero when nothing
// is counted.
func (k *Kernel) Committed() (used, peak uint64) {
	if k.ledger == nil {
		return 0, 0
	}
	return k.ledger.Used() << hostarch.PageShift, k.ledger.Peak() << hostarch.PageShift
}

// Budget returns what is committed and what may be at most, in bytes; a limit of 0 is none.
func (k *Kernel) Budget() (used, limit uint64) {
	if k.ledger == nil {
		return 0, 0
	}
	return k.ledger.Used() << hostarch.PageShift, k.ledger.Limit << hostarch.PageShift
}

// never reports whether MAP_NORESERVE is not honoured.
func (k *Kernel) never() bool { return k.ledger != nil && k.ledger.Overcommit.Mode == limits.Never }

// committed returns what an address space has, in pages: what Linux counts, and private huge pages,
// which it counts apart.
func committed(m *mm.MemoryManager) uint64 {
	t := m.Totals()
	return t.Committed + t.HugeVM
}

// charge charges t's call, which the model has decided as res and carried out. It returns why that
// cannot be had, or the task whose call must be over first.
func (k *Kernel) charge(t *Task, res mm.Result) (why *limits.Refusal, wait *Task) {
	if k.ledger == nil || t.space.vacated {
		return nil, nil
	}
	s, p := t.space, &t.call
	cost := k.costOf(s)
	reserve := k.unsureCost(t, res)
	made, size := s.newObject(&p.call, res)
	want := reserve + size
	if cost > s.cost {
		want += cost - s.cost
	}
	if why, wait := k.commit(t, want); why != nil || wait != nil {
		return why, wait
	}
	p.reserved = reserve
	if made != nil {
		s.addObject(made)
		k.addObject(made, size)
	}
	if cost < s.cost {
		p.freed = s.cost - cost
		s.held += p.freed
	}
	s.cost = cost
	if s.mayHaveLost(&p.call) {
		now := s.mm.Objects()
		for f := range s.objects {
			if now[f] == 0 {
				delete(s.objects, f)
				p.dropped = append(p.dropped, f)
			}
		}
	}
	s.shared = s.mm.Totals().SharedVM
	return nil, nil
}

// commit charges pages to the ledger on behalf of t.
func (k *Kernel) commit(t *Task, pages uint64) (why *limits.Refusal, wait *Task) {
	c := limits.Charge{Pages: pages, TotalVM: t.space.mm.Totals().TotalVM, Admin: t.Group.caller.Creds.SysAdmin}
	for {
		if why = k.ledger.Charge(c); why == nil {
			return nil, nil
		}
		more, busy := k.reclaim(t)
		if !more {
			return why, busy
		}
	}
}

// chargeImage charges what an exec has mapped. The kernel has made it already; what is refused is the
// process, which then costs nothing any more: it is to be killed before it runs.
func (k *Kernel) chargeImage(t *Task) *limits.Refusal {
	if k.ledger == nil {
		return nil
	}
	s, own := t.space, t.Group.caller.Limits.Stack
	s.stackMax = t.imageStackLimit()
	size, _ := s.mm.LargestStack()
	var why *limits.Refusal
	for _, max := range [...]uint64{k.stackBound(s, own), min(own, size+leastRoom), size} {
		want := committed(s.mm) + s.mm.StackRoom(max)
		if why, _ = k.commit(t, want); why != nil {
			continue
		}
		if max != s.stackMax && k.setStackMax(s, max) != nil {
			s.stackMax = max // it is ending
		}
		s.cost = want
		return nil
	}
	s.bill = bill{vacated: true}
	return why
}

// newObject returns the object that a call has made, and its size in pages; nil when it has made none.
func (s *space) newObject(c *Call, res mm.Result) (*mm.File, uint64) {
	if res.Errno != 0 || res.Unsure || c.Nr != linux.SYS_MMAP && c.Nr != linux.SYS_IO_SETUP {
		return nil, 0
	}
	r, v, ok := s.mm.Find(res.Addr)
	if !ok || v.Flags&mm.VM_SHARED == 0 || v.File == nil || !v.File.IsObject() || s.objects[v.File] {
		return nil, 0
	}
	return v.File, hostarch.Pages(max(hostarch.PageAlign(v.File.Size), r.Length()))
}

// mayHaveLost reports whether call c may have unmapped the last of an object.
func (s *space) mayHaveLost(c *Call) bool {
	if len(s.objects) == 0 {
		return false
	}
	replaces := c.Nr == linux.SYS_MMAP && c.Args[3]&linux.MAP_FIXED != 0 || c.Nr == linux.SYS_MREMAP && c.Args[3]&linux.MREMAP_FIXED != 0
	return replaces || s.mm.Totals().SharedVM < s.shared
}

// unsureCost returns the most, in pages, that a call may come to whose outcome only the host knows.
func (k *Kernel) unsureCost(t *Task, res mm.Result) uint64 {
	if !res.Unsure {
		return 0
	}
	s, p := t.space, &t.call
	a := &p.call.Args
	switch p.call.Nr {
	case linux.SYS_MMAP:
		return mmapCost(&p.mmap)
	case linux.SYS_MREMAP:
		if a[3]&linux.MREMAP_DONTUNMAP != 0 { // the old place stays charged
			return hostarch.Pages(hostarch.PageAlign(a[2]))
		}
		if a[2] > a[1] {
			return hostarch.Pages(hostarch.PageAlign(a[2]-a[1]) + hostarch.PageSize)
		}
	case linux.SYS_SHMGET:
		return segmentCost(a)
	case linux.SYS_PKEY_MPROTECT:
		before := s.mm.Snapshot()
		s.mm.MProtect(&t.Group.caller, hostarch.Addr(a[0]), a[1], a[2], -1)
		cost := k.costOf(s)
		s.mm.Restore(before)
		if cost > s.cost {
			return cost - s.cost
		}
	}
	return 0
}

// mmapCost returns the most, in pages, that a mapping may cost.
func mmapCost(a *mm.MMapArgs) uint64 {
	huge := a.Flags&linux.MAP_HUGETLB != 0 || a.File != nil && a.File.Kind == mm.Hugetlb
	private := a.Flags&linux.MAP_TYPE == linux.MAP_PRIVATE
	switch {
	case huge:
		size := uint64(hostarch.HugePageSize)
		if log := a.Flags >> linux.MAP_HUGE_SHIFT & linux.MAP_HUGE_MASK; log != 0 {
			size = 1 << log
		}
		return hostarch.Pages((a.Length + size - 1) &^ (size - 1))
	case private && a.Prot&linux.PROT_WRITE != 0, !private && a.File == nil:
		return hostarch.Pages(hostarch.PageAlign(a.Length))
	}
	return 0
}

// settle takes off the ledger what t's call, which is over, had given back or not used.
func (k *Kernel) settle(t *Task) {
	if k.ledger == nil {
		return
	}
	p := &t.call
	k.ledger.Uncharge(p.reserved)
	if s := t.space; !s.vacated {
		k.ledger.Uncharge(p.freed)
		s.held -= p.freed
	}
	for _, f := range p.dropped {
		k.dropObject(f)
	}
	p.debt = debt{}
}

// recount charges s what it costs by its model, whatever the limit: it is there already.
func (k *Kernel) recount(s *space) {
	if k.ledger == nil || s.vacated {
		return
	}
	cost := k.costOf(s)
	if cost > s.cost {
		k.ledger.Force(cost - s.cost)
	} else {
		k.ledger.Uncharge(s.cost - cost)
	}
	s.cost = cost
	shared := s.mm.Totals().SharedVM
	if shared == 0 && len(s.objects) == 0 {
		return
	}
	now := s.mm.Objects()
	for f, pages := range now {
		if !s.objects[f] {
			s.addObject(f)
			if k.objects[f] == nil {
				k.ledger.Force(pages)
			}
			k.addObject(f, pages)
		}
	}
	for f := range s.objects {
		if now[f] == 0 {
			delete(s.objects, f)
			k.dropObject(f)
		}
	}
	s.shared = shared
}

// vacate takes all that s costs off the ledger: its last task has ended, or is about to, without it.
func (k *Kernel) vacate(s *space) {
	if k.ledger == nil || s.vacated {
		return
	}
	k.ledger.Uncharge(s.cost + s.held)
	for f := range s.objects {
		k.dropObject(f)
	}
	s.bill = bill{vacated: true}
}

func (s *space) addObject(f *mm.File) {
	if s.objects == nil {
		s.objects = make(map[*mm.File]bool)
	}
	s.objects[f] = true
}

// addObject counts a reference to f, which has been charged.
func (k *Kernel) addObject(f *mm.File, pages uint64) {
	if k.objects == nil {
		k.objects = make(map[*mm.File]*object)
	}
	o := k.objects[f]
	if o == nil {
		o = &object{pages: pages}
		k.objects[f] = o
	}
	o.refs++
}

// dropObject takes a reference to f back; the last one frees it.
func (k *Kernel) dropObject(f *mm.File) {
	o := k.objects[f]
	if o.refs--; o.refs == 0 {
		k.ledger.Uncharge(o.pages)
		delete(k.objects, f)
	}
}

// reclaim looks for memory that is charged and free in truth. It reports whether it found any; if
// not, and there are calls on their way that give some back, it returns the task of one.
func (k *Kernel) reclaim(t *Task) (found bool, busy *Task) {
	living := make(map[*space]bool)
	for _, o := range k.tasks {
		living[o.space] = living[o.space] || o == t || !k.host.Gone(o)
	}
	for s, alive := range living {
		if !alive && !s.vacated && s.cost+s.held+uint64(len(s.objects)) > 0 {
			k.vacate(s)
			found = true
		}
	}
	found = k.collectFiles() || found
	if found = k.collectSegments() || found; found {
		return true, nil
	}
	for _, o := range k.tasks {
		if o == t || o.call.freed == 0 && len(o.call.dropped) == 0 || o.space.vacated {
			continue
		}
		if o.call.inFlight && k.host.HasLeft(o, o.call.call.Nr) {
			k.Settle(o)
			found = true
			continue
		}
		busy = o
	}
	if found {
		return true, nil
	}
	for _, o := range k.tasks {
		// t's own model may be ahead of what is granted; it is squeezed when all else is in vain.
		if o.space != t.space {
			found = k.squeeze(o.space, o) || found
		}
	}
	return found, busy
}

// CheckLedger returns an error where the ledger is not the sum of what it should be of.
func (k *Kernel) CheckLedger() error {
	if k.ledger == nil {
		return nil
	}
	return k.checkLedger()
}

func (k *Kernel) checkLedger() error {
	var sum uint64
	spaces, held := make(map[*space]*Task), make(map[*space]uint64)
	objects := make(map[*mm.File]int)
	for _, t := range k.tasks {
		spaces[t.space] = t
		held[t.space] += t.call.freed
		sum += t.call.reserved
		for _, f := range t.call.dropped {
			objects[f]++
		}
	}
	for s, t := range spaces {
		if s.vacated {
			continue
		}
		if cost := k.costOf(s); cost != s.cost {
			return fmt.Errorf("the address space of thread %d costs %d pages, and is charged %d", t.TID, cost, s.cost)
		}
		if s.held != held[s] {
			return fmt.Errorf("calls on their way give back %d pages, and %d are held for them", held[s], s.held)
		}
		for f := range s.objects {
			objects[f]++
		}
		sum += s.cost + s.held
	}
	for f, o := range k.objects {
		if o.refs != objects[f] {
			return fmt.Errorf("object %q has %d references, and %d are counted", f.Name, objects[f], o.refs)
		}
		sum += o.pages
	}
	for _, pages := range k.segments {
		sum += pages
	}
	for _, f := range k.files {
		sum += f.charge()
	}
	if used := k.ledger.Used(); used != sum {
		return fmt.Errorf("the ledger has %d pages, and all that is charged sums up to %d", used, sum)
	}
	return nil
}
