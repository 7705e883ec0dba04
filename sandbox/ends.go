package sandbox

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sentry/blame"
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// Cause is what ended a program.
type Cause = blame.Cause

// The causes that a report has.
const (
	CauseExited   = blame.Exited
	CauseSignal   = blame.Signal
	CauseLimit    = blame.Limit
	CausePolicy   = blame.Policy
	CauseInjected = blame.Injected
	CauseTimeout  = blame.Timeout
	CauseRunsbx   = blame.Runsbx
)

// End is the end of a process that a refusal has ended.
type End struct {
	Cause   Cause
	Refusal RefusalRecord
}

// String returns one line, such as
// "python3[4711] mmap of 512M refused: commit 61.2M used + 512M > limit 64M".
func (e End) String() string {
	r := &e.Refusal
	what := r.Call
	switch {
	case r.Call == blame.Growth:
		what = "growth of its stack"
	case r.Asked > 0:
		what += " of " + limits.FormatSize(r.Asked)
	}
	return fmt.Sprintf("%s[%d] %s refused: %v", printable(r.Program), r.PID, what, r.by)
}

// printable escapes what a terminal would not print as it is: a program's name may have anything in it.
func printable(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\\' || !unicode.IsPrint(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
		s = s[n:]
	}
	return b.String()
}

// ends follows processes that were refused something to their ends. The supervisor's lock covers it.
type ends struct {
	first   int // process id of the first process
	cause   Cause
	by      *RefusalRecord
	watched map[int]*watched // by process id
}

// watched is a process that was refused something.
type watched struct {
	blame.Process
	before map[int]mm.Totals // by thread, before the call that it is in
	last   blame.Refusal
}

// watch returns the record of t's process, which it makes if need be.
func (e *ends) watch(t *kernel.Task) *watched {
	w := e.watched[t.Group.TGID]
	if w == nil {
		if e.watched == nil {
			e.watched = make(map[int]*watched)
		}
		w = &watched{before: make(map[int]mm.Totals)}
		e.watched[t.Group.TGID] = w
	}
	return w
}

// entering remembers what t has before its call, if that is going to matter.
func (e *ends) entering(t *kernel.Task) {
	if w := e.watched[t.Group.TGID]; w != nil && w.Watching() {
		w.before[t.TID] = t.MM().Totals()
	}
}

// went records that t's call was not refused.
func (e *ends) went(t *kernel.Task, c *kernel.Call) {
	w := e.watched[t.Group.TGID]
	if w == nil || !w.Watching() {
		return
	}
	before, ok := w.before[t.TID]
	if !ok {
		return
	}
	delete(w.before, t.TID)
	after := t.MM().Totals()
	more := func(was, is uint64) uint64 { return (max(was, is) - was) << hostarch.PageShift }
	g := blame.Grant{Data: more(before.DataVM, after.DataVM), Total: more(before.TotalVM, after.TotalVM)}
	g.LimitsAsked = c.Nr == linux.SYS_PRLIMIT64 && c.Args[2] == 0
	if g.Total > 0 {
		g.Place = placeOf(t, c)
	}
	w.Went(t.TID, g)
}

// placeOf returns where c is made.
func placeOf(t *kernel.Task, c *kernel.Call) blame.Place {
	if c.SP == 0 {
		c.SP = stackPointer(t.TID)
	}
	return blame.Place{IP: c.IP, SP: c.SP}
}

// refused records that t's call was refused.
func (e *ends) refused(t *kernel.Task, c *kernel.Call, v *kernel.Verdict) *blame.Refusal {
	r := &blame.Refusal{
		PID: t.Group.TGID, TID: t.TID, Program: t.Group.Name, Call: linux.SyscallName(c.Nr),
		Asked: asked(c, v), Place: placeOf(t, c), Why: v.Result.Refusal,
	}
	if c.Nr == linux.SYS_SETRLIMIT || c.Nr == linux.SYS_PRLIMIT64 {
		return r // no memory was asked for, and no program needs a higher limit to live
	}
	if v.Result.Refusal.Resource.Outside() {
		return r // programs try what is there, such as a name service's socket, and do without
	}
	if c.Nr == linux.SYS_MMAP && blame.ArenaReservation(c.Args[0], c.Args[1], c.Args[2], c.Args[3]) {
		return r
	}
	w := e.watch(t)
	w.Refused(*r)
	w.last = *r
	return r
}

// killed records that t is killed because its last call was refused.
func (e *ends) killed(t *kernel.Task) {
	w := e.watch(t)
	w.Killed(w.last)
}

// asked returns how many bytes a refused call asked for; 0 when it asked for something else.
func asked(c *kernel.Call, v *kernel.Verdict) uint64 {
	switch c.Nr {
	case linux.SYS_BRK:
		return c.Args[0] - min(c.Args[0], uint64(v.Result.Addr)) // which is the old break
	case linux.SYS_MREMAP:
		return c.Args[2]
	case linux.SYS_MMAP, linux.SYS_MUNMAP, linux.SYS_MPROTECT, linux.SYS_PKEY_MPROTECT, linux.SYS_MADVISE, linux.SYS_MLOCK,
		linux.SYS_MLOCK2, linux.SYS_MUNLOCK, linux.SYS_MSEAL, linux.SYS_MBIND, linux.SYS_REMAP_FILE_PAGES, linux.SYS_MAP_SHADOW_STACK:
		return c.Args[1]
	case linux.SYS_SHMAT:
		if v.Result.Refusal.Resource != limits.MapCount {
			return v.Result.Refusal.Wanted
		}
	}
	return 0
}

// Signaled implements ptrace.Handler.
func (s *supervisor) Signaled(tid int, sig *ptrace.Signal) (again bool) {
	s.mu.Lock()
	prove := 0
	defer func() { s.unlock(prove) }()
	t := s.k.Task(tid)
	if t == nil || s.failed != nil {
		return false
	}
	d := blame.Delivery{TID: tid, Signo: int(sig.Number), Code: sig.Code, Sender: sig.Sender, Addr: sig.Addr}
	if sig.Number == unix.SIGSEGV && sig.Code == linux.SEGV_MAPERR {
		grown, why, busy, err := s.stackFault(t, hostarch.Addr(sig.Addr))
		if err != nil {
			s.fail("fault", tid, err)
			if s.failed != nil {
				s.engine.Kill()
			}
			return false
		}
		if grown {
			prove = busy
			return true
		}
		if why != nil {
			d.Refused = s.refuseGrowth(t, sig.Addr, why)
		}
	}
	if isImageFault(t, sig) {
		d.Refused = s.imageRefused(t)
	}
	if w := s.ends.watched[t.Group.TGID]; w != nil {
		if d.Code <= 0 && d.Sender != t.Group.TGID && d.Sender == ownNumber(t.Group.TGID) {
			d.Sender = t.Group.TGID
		}
		w.Delivered(d)
	}
	return false
}

// refuseGrowth records that a stack of t's may not grow to addr.
func (s *supervisor) refuseGrowth(t *kernel.Task, addr uint64, why *limits.Refusal) *blame.Refusal {
	r := &blame.Refusal{
		PID: t.Group.TGID, TID: t.TID, Program: t.Group.Name, Call: blame.Growth, Asked: why.Wanted, Why: why,
	}
	s.ends.watch(t).Refused(*r)
	s.refused(t, r, &kernel.Call{Args: [6]uint64{addr}},
		&kernel.Verdict{Kind: kernel.Refuse, Result: mm.Result{Errno: why.Errno, Refusal: why}})
	return r
}

// killOverdrawn kills the processes whose stacks have grown already by what may not be had.
func (s *supervisor) killOverdrawn() {
	for _, o := range s.k.TakeOverdrawn() {
		if t := s.k.Task(o.TID); t != nil {
			s.ends.watch(t).last = *s.refuseGrowth(t, 0, o.Why)
			s.ends.killed(t)
			unix.Kill(t.Group.TGID, unix.SIGKILL)
		}
	}
}

// stackFault looks at a fault where nothing is mapped: a stack may grow there after all, once the task
// busy has left its call if that is not 0; or why says what keeps it from growing.
func (s *supervisor) stackFault(t *kernel.Task, addr hostarch.Addr) (grown bool, why *limits.Refusal, busy int, err error) {
	defer s.noteHidden(t.TID)
	grown, why, wait, err := s.k.GrowStack(t, addr)
	if wait != nil {
		busy = wait.TID
	}
	if grown || why != nil || err != nil {
		return grown, why, busy, err
	}
	why, err = s.k.StackFault(t, addr)
	return false, why, 0, err
}

// ended judges the end of process t.
func (s *supervisor) ended(t *kernel.Task, ws unix.WaitStatus) {
	status := blame.Status{Code: ws.ExitStatus()}
	cause := CauseExited
	if ws.Signaled() {
		status = blame.Status{Signal: int(ws.Signal())}
		cause = CauseSignal
	}
	var by *RefusalRecord
	if w := s.ends.watched[t.TID]; w != nil {
		delete(s.ends.watched, t.TID)
		var r *blame.Refusal
		if cause, r = w.End(t.TID, status); r != nil {
			by = new(recordOf(r))
		}
	}
	if t.TID == s.ends.first {
		s.ends.cause, s.ends.by = cause, by
	}
	if by != nil && s.failed == nil {
		s.report.ended(by)
		s.notices.add(End{cause, *by})
	}
}

// notices are ends on their way to whoever wants to know of them, who may be slow.
type notices struct {
	mu     sync.Mutex
	more   sync.Cond
	queue  []End
	closed bool
	done   chan struct{}
}

// start has f called for each end.
func (n *notices) start(f func(End)) {
	n.more.L = &n.mu
	n.done = make(chan struct{})
	go func() {
		defer close(n.done)
		for {
			n.mu.Lock()
			for len(n.queue) == 0 && !n.closed {
				n.more.Wait()
			}
			q := n.queue
			n.queue = nil
			n.mu.Unlock()
			if len(q) == 0 {
				return
			}
			for _, e := range q {
				f(e)
			}
		}
	}()
}

func (n *notices) add(e End) {
	if n.done == nil {
		return // nobody wants to know
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, e)
	n.more.Signal()
}

// close waits until all are delivered.
func (n *notices) close() {
	if n.done == nil {
		return
	}
	n.mu.Lock()
	n.closed = true
	n.more.Signal()
	n.mu.Unlock()
	<-n.done
}
