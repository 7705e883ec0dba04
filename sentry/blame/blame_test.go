package blame

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

const (
	k, m = 1 << 10, 1 << 20
	self = 100 // the process, and its first thread
	far  = 1 << 46
)

// A story is told in steps, by the functions below.
type step func(p *Process)

func refuse(tid int, call string, asked uint64, at Place) step {
	return refuseBy(limits.AS, tid, call, asked, at)
}

func refuseBy(r limits.Resource, tid int, call string, asked uint64, at Place) step {
	return refuseFor(&limits.Refusal{Resource: r, Wanted: asked, Errno: linux.ENOMEM}, tid, call, asked, at)
}

func refuseFor(why *limits.Refusal, tid int, call string, asked uint64, at Place) step {
	return func(p *Process) {
		p.Refused(Refusal{PID: self, TID: tid, Call: call, Asked: asked, Place: at, Why: why})
	}
}

func get(tid int, bytes uint64, at Place) step {
	return func(p *Process) { p.Went(tid, Grant{Data: bytes, Total: bytes, Place: at}) }
}

func reserve(tid int, bytes uint64, at Place) step {
	return func(p *Process) { p.Went(tid, Grant{Total: bytes, Place: at}) }
}

func free(tid int) step { return func(p *Process) { p.Went(tid, Grant{}) } }

func ask(tid int) step { return func(p *Process) { p.Went(tid, Grant{LimitsAsked: true}) } }

func fork(tid int) step { return func(p *Process) { p.Forked(tid) } }

func sent(tid, signo, code, sender int) step {
	return func(p *Process) { p.Delivered(Delivery{TID: tid, Signo: signo, Code: code, Sender: sender}) }
}

func fault(tid, signo, code int, addr uint64) step {
	return func(p *Process) { p.Delivered(Delivery{TID: tid, Signo: signo, Code: code, Addr: addr}) }
}

func overflow(tid int) step {
	why := Refusal{PID: self, TID: tid, Call: Growth, Asked: 4 * k, Why: &limits.Refusal{Resource: limits.Stack}}
	return func(p *Process) {
		p.Refused(why)
		p.Delivered(Delivery{TID: tid, Signo: linux.SIGSEGV, Code: linux.SEGV_MAPERR, Addr: far, Refused: &why})
	}
}

// Places from which malloc and others make their calls.
var (
	mmapA = Place{1, 5000} // from the place that asks too much
	brkA  = Place{2, 5000}
	mmapB = Place{1, 5100} // from elsewhere
	brkB  = Place{2, 5100}
	brkX  = Place{2, 0}
)

// malloc is glibc's malloc of much more than there is.
func malloc(tid int, bytes uint64) []step {
	return []step{
		refuse(tid, "mmap", bytes+4*k, mmapA), refuse(tid, "brk", bytes, brkA), refuse(tid, "mmap", bytes+m, mmapA),
	}
}

func story(steps ...any) (all []step) {
	for _, s := range steps {
		switch s := s.(type) {
		case step:
			all = append(all, s)
		case []step:
			all = append(all, s...)
		}
	}
	return all
}

const (
	siUser, siTkill, siQueue = 0, -6, -1
)

func TestEnd(t *testing.T) {
	exit := func(n int) Status { return Status{Code: n} }
	die := func(sig int) Status { return Status{Signal: sig} }
	for _, x := range []struct {
		name  string
		story []step
		end   Status
		want  Cause
		asked uint64 // by the call that is blamed
	}{
		{"nothing was seen", nil, exit(0), Exited, 0},
		{"nothing was refused", nil, exit(3), Exited, 0},
		{"killed", nil, die(linux.SIGABRT), Signal, 0},

		// Exits.
		{"perror and exit", malloc(self, 500*m), exit(1), Limit, 500*m + 4*k},
		{"status 0 is an exit", malloc(self, 500*m), exit(0), Exited, 0},
		{"python's traceback takes an arena", story(malloc(self, 500*m), get(self, m, mmapB), free(self)), exit(1), Limit, 500*m + 4*k},
		{"python frees a list", story(malloc(self, m), free(self), free(self), free(self)), exit(1), Limit, m + 4*k},
		{"perror's first malloc", story(refuse(self, "mmap", 500*m, mmapA), get(self, 132*k, brkB)), exit(1), Limit, 500 * m},
		{"bash's xmalloc", story(refuse(self, "mremap", 4*k, mmapB), malloc(self, 24*m)), exit(2), Limit, 24*m + 4*k},
		{"small malloc", story(refuse(self, "brk", 132*k, brkX), refuse(self, "mmap", m, mmapA)), exit(1), Limit, 132 * k},
		{"halving to nothing", story(malloc(self, 64*m), malloc(self, 32*m), malloc(self, 16*m)), exit(1), Limit, 16*m + 4*k},

		{"a smaller piece is enough", story(refuse(self, "mmap", 500*m, mmapA), get(self, m, mmapA)), exit(7), Exited, 0},
		{"half of it", story(malloc(self, 500*m), get(self, 250*m, mmapA)), exit(7), Exited, 0},
		{"less, from the heap", story(malloc(self, 500*m), get(self, 132*k, brkA)), exit(7), Exited, 0},
		{"less to be reserved", story(refuse(self, "mmap", 512*m, mmapA), reserve(self, 64*m, mmapA)), exit(2), Exited, 0},
		{"not known to be from there", story(refuse(self, "brk", 500*m, brkX), get(self, 132*k, brkX)), exit(7), Limit, 500 * m},
		{"goes on", story(malloc(self, 500*m), get(self, m, mmapB), get(self, m, mmapB)), exit(3), Exited, 0},
		{"the heap cannot grow, malloc maps", story(refuse(self, "brk", 132*k, brkX), get(self, m, mmapB)), exit(3), Exited, 0},
		{"as much later is no proof", story(refuse(self, "mmap", 132*k, mmapA), free(self), get(self, m, mmapB)), exit(1), Limit, 132 * k},
		{"java's error report", story(refuse(self, "mmap", 380*m, mmapA), ask(self), get(self, 5*m, mmapB)), exit(1), Limit, 380 * m},
		{"limits asked for later", story(refuse(self, "mmap", 380*m, mmapA), free(self), ask(self), get(self, 5*m, mmapB)), exit(1), Exited, 0},
		{"makes a process", story(malloc(self, 500*m), fork(self)), exit(3), Exited, 0},
		{"got over it, and then not", story(malloc(self, 500*m), get(self, 8*m, mmapB), malloc(self, 90*m)), exit(1), Limit, 90*m + 4*k},

		{"many mappings: the heap grows", story(refuseBy(limits.MapCount, self, "mmap", 4*k, mmapA), get(self, 132*k, brkB)), exit(1), Limit, 4 * k},
		{"a lock is not had", story(refuseBy(limits.MemLock, self, "mlock", 64*k, mmapA), get(self, 132*k, brkB)), exit(1), Limit, 64 * k},
		{"and not missed", story(refuseBy(limits.MemLock, self, "mlock", 64*k, mmapA), get(self, 132*k, brkB), get(self, 132*k, brkB)), exit(2), Exited, 0},
		{"a handler of its own for the stack", story(overflow(self)), exit(2), Limit, 4 * k},

		// Threads.
		{"another thread goes on a little", story(malloc(101, 500*m), get(self, 4*m, mmapB)), exit(1), Limit, 500*m + 4*k},
		{"and much", story(malloc(101, 500*m), get(self, 16*m, mmapB)), exit(1), Exited, 0},
		{"one got over it, one did not", story(malloc(self, 500*m), malloc(101, 90*m), get(self, 9*m, mmapB)), exit(1), Limit, 90*m + 4*k},
		{"the last is named", story(malloc(self, 500*m), malloc(101, 90*m)), exit(1), Limit, 90*m + 4*k},

		// Signals.
		{"abort", story(malloc(self, 500*m), sent(self, linux.SIGABRT, siTkill, self)), die(linux.SIGABRT), Limit, 500*m + 4*k},
		{"abort after all is well", story(malloc(self, 500*m), get(self, 9*m, mmapB), sent(self, linux.SIGABRT, siTkill, self)), die(linux.SIGABRT), Signal, 0},
		{"abort by another process", story(malloc(self, 500*m), sent(self, linux.SIGABRT, siUser, 7)), die(linux.SIGABRT), Signal, 0},
		{"killed", malloc(self, 500*m), die(9), Signal, 0},
		{"terminates itself", story(malloc(self, 500*m), sent(self, 15, siUser, self)), die(15), Signal, 0},
		{"queued by another", story(malloc(self, 500*m), sent(self, linux.SIGSEGV, siQueue, 7)), die(linux.SIGSEGV), Signal, 0},
		{"int3", story(malloc(self, 500*m), fault(self, linux.SIGTRAP, linux.SI_KERNEL, 0)), die(linux.SIGTRAP), Limit, 500*m + 4*k},
		{"ud2", story(malloc(self, 500*m), fault(self, linux.SIGILL, 2, far)), die(linux.SIGILL), Limit, 500*m + 4*k},
		{"division by zero", story(malloc(self, 500*m), fault(self, linux.SIGFPE, 1, far)), die(linux.SIGFPE), Signal, 0},
		{"NULL", story(malloc(self, 500*m), fault(self, linux.SIGSEGV, linux.SEGV_MAPERR, 0)), die(linux.SIGSEGV), Limit, 500*m + 4*k},
		{"into what should be there", story(malloc(self, 500*m), fault(self, linux.SIGSEGV, linux.SEGV_MAPERR, 499*m)), die(linux.SIGSEGV), Limit, 500*m + 4*k},
		{"MAP_FAILED", story(malloc(self, 500*m), fault(self, linux.SIGSEGV, linux.SEGV_MAPERR, ^uint64(0))), die(linux.SIGSEGV), Limit, 500*m + 4*k},
		{"the end of memory", story(malloc(self, 500*m), fault(self, linux.SIGSEGV, linux.SI_KERNEL, 0)), die(linux.SIGSEGV), Limit, 500*m + 4*k},
		{"elsewhere", story(malloc(self, 500*m), fault(self, linux.SIGSEGV, linux.SEGV_MAPERR, far)), die(linux.SIGSEGV), Signal, 0},
		{"read-only memory", story(malloc(self, 500*m), fault(self, linux.SIGSEGV, 2, 0)), die(linux.SIGSEGV), Signal, 0},
		{"NULL after all is well", story(malloc(self, 500*m), get(self, 9*m, mmapB), fault(self, linux.SIGSEGV, linux.SEGV_MAPERR, 0)), die(linux.SIGSEGV), Signal, 0},
		{"NULL of another thread", story(malloc(101, 500*m), fault(self, linux.SIGSEGV, linux.SEGV_MAPERR, 0)), die(linux.SIGSEGV), Limit, 500*m + 4*k},
		{"a file that did not grow, and what is mapped of it", story(refuseBy(limits.Commit, self, "ftruncate", 0, mmapA), reserve(self, 4*k, mmapB)), exit(1), Limit, 0},
		{"beyond a file that did not grow", story(refuseBy(limits.Commit, self, "ftruncate", 0, mmapA), fault(self, linux.SIGBUS, linux.BUS_ADRERR, far)), die(linux.SIGBUS), Limit, 0},
		{"beyond another file", story(malloc(self, 500*m), fault(self, linux.SIGBUS, linux.BUS_ADRERR, far)), die(linux.SIGBUS), Signal, 0},
		{"a caught fault, and killed later", story(malloc(self, 500*m), fault(self, linux.SIGSEGV, linux.SEGV_MAPERR, 0), sent(self, linux.SIGSEGV, siUser, 7)), die(linux.SIGSEGV), Signal, 0},
		{"stack overflow", story(overflow(self)), die(linux.SIGSEGV), Limit, 4 * k},
		{"no room for the handler's frame", story(overflow(self), fault(self, linux.SIGSEGV, linux.SI_KERNEL, 0)), die(linux.SIGSEGV), Limit, 4 * k},
		{"overflow after all is well", story(malloc(self, 500*m), get(self, 9*m, mmapB), overflow(self)), die(linux.SIGSEGV), Limit, 4 * k},

		{"an exec that cannot be had", story(step(func(p *Process) { p.Killed(Refusal{Asked: m, Why: &limits.Refusal{}}) })), die(9), Limit, m},

		// Other kinds.
		{"policy", story(refuseFor(&limits.Refusal{Kind: limits.ByPolicy, Resource: "wx"}, self, "mprotect", 4*k, mmapA)), exit(1), Policy, 4 * k},
		{"injected", story(refuseFor(&limits.Refusal{Kind: limits.ByInjection}, self, "mmap", 4*k, mmapA)), exit(1), Injected, 4 * k},
		{"an injected failure that is not missed", story(refuseFor(&limits.Refusal{Kind: limits.ByInjection}, self, "mmap", 4*k, mmapA), get(self, 4*k, mmapA)), exit(1), Exited, 0},
	} {
		var p Process
		for _, s := range x.story {
			s(&p)
		}
		got, r := p.End(self, x.end)
		asked := uint64(0)
		if r != nil {
			asked = r.Asked
		}
		if got != x.want || asked != x.asked {
			t.Errorf("%s: %s of %d, want %s of %d", x.name, got, asked, x.want, x.asked)
		}
	}
}

// TestManyThreads: what is remembered of the threads of a process is bounded, and the latest is kept.
func TestManyThreads(t *testing.T) {
	var p Process
	for tid := 1; tid <= 1000; tid++ {
		refuse(tid, "mmap", uint64(tid)*4*m, mmapA)(&p)
	}
	if len(p.open) != maxOpen {
		t.Errorf("%d threads are remembered", len(p.open))
	}
	for tid := 1000; tid > 1000-maxOpen; tid-- {
		if _, r := p.End(self, Status{Code: 1}); r == nil || r.TID != tid {
			t.Fatalf("blamed is %+v, want thread %d", r, tid)
		}
		p.Forked(tid)
	}
}

func TestArenaReservation(t *testing.T) {
	const flags = 0x4022
	for _, x := range []struct {
		addr, length, prot, flags uint64
		want                      bool
	}{
		{0, 128 * m, 0, flags, true},
		{0, 64 * m, 0, flags, true},
		{far, 64 * m, 0, flags, true},
		{far, 128 * m, 0, flags, false}, // V8's code
		{0, 128 * m, 3, flags, false},
		{0, 128 * m, 0, 0x22, false},
		{0, 32 * m, 0, flags, false},
	} {
		if got := ArenaReservation(x.addr, x.length, x.prot, x.flags); got != x.want {
			t.Errorf("%+v: %v", x, got)
		}
	}
}
