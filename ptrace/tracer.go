package ptrace

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Tracer is a process tree. New makes one, which runs when it is started. Its methods may be called from any
// goroutine, also from within the Handler's methods.
//
// Fields fall into three groups: set before the tree runs and constant then; the tracer thread's
// own; and those under mu.
type Tracer struct {
	config      Config
	handler     Handler
	pid         int      // the first process
	tid         int      // the tracer thread, which makes all ptrace requests
	self        int      // this process
	restarts    []uint64 // Config.Restart
	listener    int
	ended       chan struct{}
	notifsEnded chan struct{}
	first       chan unix.WaitStatus
	stops       chan syscall.Signal

	// The tracer thread's own.
	current  int              // the thread whose event is being handled, for messages
	unborn   map[int]*thread  // children seen before their parent's report
	ghosts   map[int]struct{} // threads that an exec has ended and wait4 has not reported yet
	groups   map[int]int      // number of threads of each thread group
	deferred []unix.Signal    // signals that came while the program was being started
	reaped   bool             // the first process has ended while it was being started
	confiner *thread          // the one that loads a filter
	spare    []pending        // what requests was, to be used again

	confinements []confinementRequest // those that will after it

	helpers sync.WaitGroup // goroutines that decide parked notifications

	mu       sync.Mutex
	idle     sync.Cond // a thread's state is no longer asking
	waiting  bool      // the tracer thread waits for idle
	threads  map[int]*thread
	requests []pending // for the tracer thread
	kicker   int       // process that interrupts the tracer thread's wait4; 0 when there is none
	starting bool      // our own injected calls are running
	killing  bool
	err      error
	status   unix.WaitStatus // of the first process
}

// thread is one thread of the tree.
type thread struct {
	// The tracer thread's own.
	tgid      int
	first     bool      // its first stop is still to come
	toExit    bool      // it is in a call whose exit stop is awaited
	rewritten bool      // and its argument registers are to be restored there
	inherited bool      // it was made by a rewritten clone, and has its parent's registers
	listening bool      // it is in a group stop
	args      [6]uint64 // what the kernel was given, when rewritten or inherited
	renamed   bool      // and was another call
	role      role
	wanted    []byte // a filter that Confine has asked for
	confining *confinement
	ahead     *detour // that Detour has asked for
	detour    *detour // that it is on
	// Of an unborn thread.
	stop   unix.WaitStatus // how its first stop, or its end, was reported
	flags  uint64          // of the clone call that made it
	parent int             // process id of its parent, 0 when not known

	// call belongs to whoever has made the state asking.
	call Syscall

	// Under Tracer.mu.
	tid     int
	state   state
	again   bool // Unpark came while the Handler was being asked
	proving bool // Proved is owed
	nudged  bool // Prove has interrupted it, and it has not stopped for that yet
	cookie  bool // Prove has sent it SIGSTOP
	notifID uint64

	interrupted bool // its last notification was answered by Interrupt
}

// state says where a thread stands between a stopped call and its answer.
type state uint8

const (
	running     state = iota
	asking            // the Handler is being asked
	parkedStop        // waits in a ptrace stop
	parkedNotif       // waits in a notification
	observed          // is in a call whose exit stop is awaited
)

// Pid returns the process id of the first process.
func (t *Tracer) Pid() int { return t.pid }

// First delivers the first process's wait status as soon as it has ended; its descendants may
// live on. When the whole tree has ended, the channel is closed.
func (t *Tracer) First() <-chan unix.WaitStatus { return t.first }

// Stops delivers the signal of each group stop of the first process. When nobody receives, the
// oldest are kept.
func (t *Tracer) Stops() <-chan syscall.Signal { return t.stops }

// Wait waits until the whole tree has ended and returns the first process's status. The error is
// a failure of the host or of the Handler (*Error), after which the tree was killed.
func (t *Tracer) Wait() (unix.WaitStatus, error) {
	<-t.ended
	return t.status, t.err
}

// Signal sends sig to the first process. The error is os.ErrProcessDone when that has ended.
func (t *Tracer) Signal(sig unix.Signal) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.threads[t.pid] == nil {
		return os.ErrProcessDone
	}
	// The number is not reused meanwhile: the process is removed from threads under mu.
	if err := unix.Kill(t.pid, sig); err == unix.ESRCH {
		return os.ErrProcessDone
	} else if err != nil {
		return &Error{Op: "kill", TID: t.pid, Err: err}
	}
	return nil
}

// Kill kills every process of the tree, now and as it is found.
func (t *Tracer) Kill() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kill()
}

// kill is Kill with mu held.
func (t *Tracer) kill() {
	t.killing = true
	for tid, th := range t.threads {
		// tgkill fails harmlessly when the number has got another owner.
		unix.Tgkill(th.tgid, tid, unix.SIGKILL)
	}
}

// fail records the first failure and kills the tree. The Handler is not asked or told anything
// any more: it may be what failed, and may hold its lock.
func (t *Tracer) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	t.kill()
	t.idle.Broadcast()
}

// guard, deferred, turns a panic of the Handler, or of ours, into a failure: a process whose
// supervisor has lost its way does not go on.
func (t *Tracer) guard(op string, tid *int) {
	if r := recover(); r != nil {
		t.fail(&Error{Op: op, TID: *tid, Err: fmt.Errorf("panic: %v\n%s", r, stack())})
	}
}
