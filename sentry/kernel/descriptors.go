package kernel

// A call that writes to a descriptor which is not a memory file's runs as it is, and unobserved. Until it
// is known to be over, its descriptor's number must not become a memory file's: between our look and the
// kernel's own, another thread might exchange what the number stands for. A number that is in use can only
// be exchanged by a call that gives it up, close, close_range, dup2 or dup3: so such a call waits until
// nobody passes by that number, and while it is on its way nobody begins to.

// Span is a range of descriptor numbers, both ends included.
type Span struct{ First, Last uint32 }

// AllDescriptors is every number.
func AllDescriptors() *Span { return &Span{0, ^uint32(0)} }

func (s *Span) meets(o *Span) bool {
	return s != nil && o != nil && s.First <= o.Last && o.First <= s.Last
}

// descriptors is a table of descriptors, and the tasks that share it.
type descriptors struct {
	users   int
	waiters []int // tasks that wait until a call on it is over
}

// passage is what is on its way of one task's.
type passage struct {
	passes *Span    // numbers that it writes to, unobserved
	nrs    []uint64 // by one of these calls
	gives  *Span    // numbers that it gives up, observed
}

// SharesDescriptors reports whether others have the same table of descriptors as t.
func (t *Task) SharesDescriptors() bool { return t.table.users > 1 }

// Tables returns a task of each table of descriptors that there is.
func (k *Kernel) Tables() (tids []int) {
	seen := make(map[*descriptors]bool)
	for tid, t := range k.tasks {
		if !seen[t.table] {
			seen[t.table] = true
			tids = append(tids, tid)
		}
	}
	return tids
}

// PassDescriptors decides whether t may write, by call nr, to what the numbers stand for: Run or Wait.
func (k *Kernel) PassDescriptors(t *Task, nr uint64, s *Span) Verdict {
	if t.table.users == 1 {
		return Verdict{Kind: Run}
	}
	for _, o := range k.tasks {
		if o != t && o.table == t.table && o.passage.gives.meets(s) {
			t.table.waiters = append(t.table.waiters, t.TID)
			return Verdict{Kind: Wait}
		}
	}
	t.passage.passes, t.passage.nrs = s, []uint64{nr}
	return Verdict{Kind: Run}
}

// GiveUpDescriptors decides whether t may give the numbers up: Run, Observe (its end is told to
// EndGiveUp) or Wait.
func (k *Kernel) GiveUpDescriptors(t *Task, s *Span) Verdict {
	if t.table.users == 1 {
		return Verdict{Kind: Run}
	}
	if o := k.passing(t, s); o != nil {
		t.table.waiters = append(t.table.waiters, t.TID)
		return Verdict{Kind: Wait, WaitFor: o.TID}
	}
	t.passage.gives = s
	return Verdict{Kind: Observe}
}

// EndGiveUp records that t's call is over that gave descriptors up, if it was in one.
func (k *Kernel) EndGiveUp(t *Task) bool {
	if t.passage.gives == nil {
		return false
	}
	t.passage.gives = nil
	k.wakeTable(t)
	return true
}

// NewDescriptor decides whether t may get a descriptor: Run or Wait. It may not while others of its
// process may be in calls that were begun before they were watched.
func (k *Kernel) NewDescriptor(t *Task) Verdict {
	if t.table.users > 1 {
		if o := k.passing(t, &Span{^uint32(0), ^uint32(0)}); o != nil {
			t.table.waiters = append(t.table.waiters, t.TID)
			return Verdict{Kind: Wait, WaitFor: o.TID}
		}
	}
	return Verdict{Kind: Run}
}

// Watch records that t's process is watched from now on. Its other threads may be in one of the calls
// nrs, which were not stopped.
func (k *Kernel) Watch(t *Task, nrs []uint64) {
	t.Group.Watched = true
	for _, o := range k.tasks {
		if o != t && o.table == t.table {
			o.passage.passes, o.passage.nrs = AllDescriptors(), nrs
		}
	}
}

// passing returns another task than t that may be writing to one of the numbers.
func (k *Kernel) passing(t *Task, s *Span) *Task {
	for _, o := range k.tasks {
		if o != t && o.table == t.table && o.passage.passes.meets(s) && !k.hasPassed(o) {
			return o
		}
	}
	return nil
}

// hasPassed reports whether o waits in another call by now.
func (k *Kernel) hasPassed(o *Task) bool {
	for _, nr := range o.passage.nrs {
		if !k.host.HasLeft(o, nr) {
			return false
		}
	}
	k.pass(o)
	return true
}

// pass records that t has left the call by which it wrote.
func (k *Kernel) pass(t *Task) {
	if t.passage.passes != nil {
		t.passage.passes = nil
		k.wakeTable(t)
	}
}

func (k *Kernel) wakeTable(t *Task) {
	k.wake = append(k.wake, t.table.waiters...)
	t.table.waiters = t.table.waiters[:0]
}

// leaveTable takes t off its table.
func (k *Kernel) leaveTable(t *Task) {
	t.passage = passage{}
	k.wakeTable(t)
	t.table.users--
}
