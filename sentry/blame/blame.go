// Package blame decides what ended a process: whether a refused call did, or something else. It
// judges by what was seen of the process: its refusals, what it got afterwards, and its signals.
// docs/report.md has the rule in words.
//
// It is pure, and its caller serialises the use of one Process.
package blame

import (
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// Cause is what ended a program.
type Cause string

// The causes. Limit, Policy and Injected are refusals, which are of these kinds (limits.Kind).
const (
	Exited   Cause = "exited"   // it ended by itself
	Signal   Cause = "signal"   // a signal that is none of the following
	Limit    Cause = "limit"    // a limit refused what it could not do without
	Policy   Cause = "policy"   // a rule did
	Injected Cause = "injected" // a failure on demand did
	Timeout  Cause = "timeout"  // its time was up
	Runsbx   Cause = "runsbx"   // the sandbox itself failed
)

// Place is where in a program a call is made: its instruction, and how deep the stack is. A function
// that tries the same again, with less, does so from the same place.
type Place struct {
	IP, SP uint64 // SP is 0 where it is not known
}

// Refusal is a call that was refused, or a growth of a stack, which makes no call.
type Refusal struct {
	PID, TID int
	Program  string
	Call     string // Growth where a stack did not grow
	Asked    uint64 // bytes that the call asked for; 0 when it asked for something else
	Place    Place
	Why      *limits.Refusal
}

// Growth is Refusal.Call of a stack that could not grow.
const Growth = "growth"

// Grant is what a call that was not refused gave.
type Grant struct {
	Data  uint64 // bytes of private writable memory
	Total uint64 // bytes of addresses
	Place Place
	// LimitsAsked: it was a question about the process's limits.
	LimitsAsked bool
}

// Delivery is a signal as it was delivered to a thread.
type Delivery struct {
	TID         int
	Signo, Code int
	Sender      int      // process id, of a signal that was sent
	Addr        uint64   // of a fault
	Refused     *Refusal // that it is the answer to: a stack did not grow to Addr, or an image did not fit
}

// Status is how a process ended.
type Status struct {
	Code   int
	Signal int // 0 when it exited
}

// What counts as going on.
const (
	// handlerMemory is more than what programs need to report that there is no memory: python's
	// traceback takes a new arena of 1 MiB, other runtimes take less.
	handlerMemory = 2 << 20
	// reportMemory is more than what a program needs that explains the refusal, for which it asks for its
	// limits at once: java's error report takes 4 MiB and more for the symbols of its libraries.
	reportMemory = 16 << 20
	// noMemlockMemory is the same for what does not lack memory, only a lock on it.
	noMemlockMemory = 256 << 10
	// othersMemory is what other threads have to get until the process as a whole has gone on.
	othersMemory = 16 << 20
	// sameRequest is how far apart the sizes lie of calls by which malloc tries to satisfy one request.
	sameRequest = 2 << 20
	maxPlaces   = 16
	// maxOpen is for how many threads it is remembered that they were refused something.
	maxOpen = 64
)

// Process is what was seen of one process since its exec or fork. The zero value has seen nothing.
type Process struct {
	open    map[int]*lack    // by thread, what it was refused and has not got over
	signals map[int]Delivery // the last of each number
	killer  *Refusal
	count   uint64
}

// lack is what a thread was refused and has not got over.
type lack struct {
	order  uint64
	first  Refusal // of the calls by which it tried to have the same
	asked  uint64  // by the last of them
	places []Place
	next   bool   // the thread has made no call since
	report bool   // the next was a question about limits
	own    uint64 // memory that the thread got since
	others uint64 // and that others did
}

// Watching reports whether Went and Forked have anything to say.
func (p *Process) Watching() bool { return len(p.open) > 0 }

// Refused records a refusal.
func (p *Process) Refused(r Refusal) {
	if p.open == nil {
		p.open = make(map[int]*lack)
	}
	p.count++
	l := p.open[r.TID]
	if l == nil {
		if len(p.open) >= maxOpen {
			delete(p.open, p.oldest())
		}
		l = &lack{}
		p.open[r.TID] = l
	}
	if l.order == 0 || !sameSize(l.first.Asked, r.Asked) || l.first.Why.Kind != r.Why.Kind {
		l.first = r
	}
	l.order, l.asked, l.next, l.report, l.own, l.others = p.count, r.Asked, true, false, 0, 0
	if len(l.places) == maxPlaces {
		l.places = append(l.places[:0], l.places[1:]...)
	}
	l.places = append(l.places, r.Place)
}

// oldest returns the thread whose refusal is the longest ago.
func (p *Process) oldest() (tid int) {
	order := p.count
	for by, l := range p.open {
		if l.order < order {
			tid, order = by, l.order
		}
	}
	return tid
}

func sameSize(first, asked uint64) bool {
	return max(first, asked)-min(first, asked) <= sameRequest
}

// ArenaReservation reports whether an mmap is glibc's malloc reserving addresses for a thread's arena.
// It does without when it is refused, and what it then asks for instead may be refused again: that this
// was refused means nothing.
func ArenaReservation(addr, length, prot, flags uint64) bool {
	const arena = 64 << 20
	return prot == linux.PROT_NONE && flags == linux.MAP_PRIVATE|linux.MAP_ANONYMOUS|linux.MAP_NORESERVE &&
		(length == arena || length == 2*arena && addr == 0)
}

// Went records a call of thread tid that was not refused.
func (p *Process) Went(tid int, g Grant) {
	for by, l := range p.open {
		if by == tid && l.overcome(g) {
			delete(p.open, by)
		}
		if by != tid {
			if l.others += g.Data; l.others >= othersMemory {
				delete(p.open, by)
			}
		}
	}
}

// overcome reports whether the thread that was refused has got over it, now that it got g.
func (l *lack) overcome(g Grant) bool {
	next := l.next
	l.next = false
	if g.Total > 0 {
		for _, place := range l.places {
			if place == g.Place && place.SP != 0 {
				return true // less, or the same later, was enough
			}
		}
	}
	enough := uint64(handlerMemory)
	switch l.first.Why.Resource {
	case limits.AS, limits.Data, limits.Commit, limits.Space:
		if next && l.asked > 0 && g.Total >= l.asked {
			return true // another way to get as much, as malloc takes when the heap cannot grow
		}
	case limits.MemLock:
		enough = noMemlockMemory
	}
	if l.report = l.report || next && g.LimitsAsked; l.report {
		enough = reportMemory
	}
	l.own += g.Data
	return l.own >= enough
}

// Forked records that thread tid has made a process: nobody does that who is about to give up.
func (p *Process) Forked(tid int) { delete(p.open, tid) }

// Delivered records that a signal is about to be delivered; it may be caught.
func (p *Process) Delivered(d Delivery) {
	if p.signals == nil {
		p.signals = make(map[int]Delivery)
	}
	p.signals[d.Signo] = d
}

// Killed records that the process is killed for want of what r was refused: nothing can be told of it
// to an exec that cannot go back.
func (p *Process) Killed(r Refusal) { p.killer = &r }

// End returns what ended process pid, and the refusal when one did.
func (p *Process) End(pid int, s Status) (Cause, *Refusal) {
	var by *lack
	switch {
	case s.Signal == linux.SIGKILL && p.killer != nil:
		return causeOf(p.killer), p.killer
	case s.Signal != 0:
		d, ok := p.signals[s.Signal]
		if !ok { // SIGKILL is not delivered
			return Signal, nil
		}
		if d.Refused != nil {
			return causeOf(d.Refused), d.Refused
		}
		if by = p.killedBy(pid, &d); by == nil {
			return Signal, nil
		}
	case s.Code != 0:
		by = p.latest(func(*lack) bool { return true })
	}
	if by == nil {
		return Exited, nil
	}
	return causeOf(&by.first), &by.first
}

func causeOf(r *Refusal) Cause { return Cause(r.Why.Kind.String()) }

// latest returns the last lack for which ok holds, nil when there is none.
func (p *Process) latest(ok func(*lack) bool) (found *lack) {
	for _, l := range p.open {
		if ok(l) && (found == nil || l.order > found.order) {
			found = l
		}
	}
	return found
}

// killedBy returns the lack that made the process die of signal d; nil when it has nothing to do with
// any.
func (p *Process) killedBy(pid int, d *Delivery) *lack {
	var fits func(*lack) bool
	switch {
	case d.Code <= 0: // sent
		if d.Sender != pid || !isCrash(d.Signo) {
			return nil
		}
		fits = func(*lack) bool { return true } // abort
	case d.Signo == linux.SIGILL, d.Signo == linux.SIGTRAP:
		fits = func(*lack) bool { return true } // an instruction that stands for abort
	case d.Signo == linux.SIGSEGV:
		fits = func(l *lack) bool { return l.leadsTo(d) }
	case d.Signo == linux.SIGBUS && d.Code == linux.BUS_ADRERR:
		fits = func(l *lack) bool { return growsFile(l.first.Call) } // beyond the end that the file has still
	default:
		return nil
	}
	if l := p.open[d.TID]; l != nil && fits(l) {
		return l
	}
	return p.latest(fits)
}

// growsFile reports whether a call makes files in memory larger, which programs then map.
func growsFile(call string) bool {
	return call == "ftruncate" || call == "fallocate" || call == "truncate"
}

// isCrash reports whether a program that sends itself this signal says that it cannot go on.
func isCrash(signo int) bool {
	switch signo {
	case linux.SIGABRT, linux.SIGSEGV, linux.SIGBUS, linux.SIGILL, linux.SIGTRAP, linux.SIGFPE, linux.SIGSYS:
		return true
	}
	return false
}

// leadsTo reports whether the fault is at an address that follows from the answer to the refused call:
// from NULL or MAP_FAILED, or from what was asked for, had it begun there.
func (l *lack) leadsTo(d *Delivery) bool {
	const nearNull, nearFailed = 64 << 10, ^uint64(0) - 4095
	switch d.Code {
	case linux.SI_KERNEL: // the address is not told, as of one that wraps
		return d.TID == l.first.TID
	case linux.SEGV_MAPERR:
		return d.Addr < max(nearNull, l.first.Asked) || d.Addr >= nearFailed
	}
	return false
}
