package ptrace

import (
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Tracer is a running process tree. Start makes one. Its methods may be called from any
// goroutine.
type Tracer struct {
	handler     Handler
	pid         int // the first process
	tid         int // the thread that makes all ptrace requests
	self        int // this process
	listener    int
	kick        int // eventfd; see wait
	ended       chan struct{}
	notifsEnded chan struct{}
	first       chan unix.WaitStatus
	stops       chan syscall.Signal

	mu      sync.Mutex
	tasks   map[int]*task
	orphans map[int]unix.WaitStatus // first stops of children whose parent has not reported them yet
	resumes []int                   // stop-parked threads to be decided again, for the tracer thread
	parked  int                     // number of threads that are parked in a ptrace stop
	killing bool
	err     error
	status  unix.WaitStatus // of the first process
}

// task is one thread of the tree. Its fields are guarded by Tracer.mu.
type task struct {
	tid, tgid int
	swallow   unix.Signal // one delivery of this signal was made by us
	held      bool        // stopped at its first stop, waiting for its parent's report
	toExit    bool        // in a call whose exit stop is awaited
	rewritten bool        // and its argument registers are to be restored
	call      Syscall
	notifID   uint64
	state     parkState
	prove     bool // Proved is owed
}

// parkState is where a thread stands between a stopped call and its answer.
type parkState uint8

const (
	running parkState = iota
	deciding
	decideAgain // Unpark came while deciding
	parkedStop
	parkedNotif
)

// Pid returns the process id of the first process.
func (t *Tracer) Pid() int { return t.pid }

// First delivers the first process's wait status when it has ended; its descendants may live on.
func (t *Tracer) First() <-chan unix.WaitStatus { return t.first }

// Stops delivers the signal of each group stop of the first process. When nobody receives, the
// oldest are kept.
func (t *Tracer) Stops() <-chan syscall.Signal { return t.stops }

// Wait waits until the whole tree has ended and returns the first process's status. The error is
// a failure of the host, after which the tree was killed.
func (t *Tracer) Wait() (unix.WaitStatus, error) {
	<-t.ended
	return t.status, t.err
}

// Signal sends sig to the first process.
func (t *Tracer) Signal(sig unix.Signal) error { return unix.Kill(t.pid, sig) }

// Kill kills every process of the tree, now and as it is found.
func (t *Tracer) Kill() {
	t.mu.Lock()
	t.killing = true
	pids := make(map[int]bool, len(t.tasks))
	for _, k := range t.tasks {
		pids[k.tgid] = true
	}
	t.mu.Unlock()
	for pid := range pids {
		unix.Kill(pid, unix.SIGKILL)
	}
}

// fail records the first failure and kills the tree.
func (t *Tracer) fail(err error) {
	t.mu.Lock()
	if t.err == nil {
		t.err = err
	}
	t.mu.Unlock()
	t.Kill()
}

// guard turns a panic of the handler, or of ours, into a failure: a process whose supervisor has
// lost its way does not go on.
func (t *Tracer) guard(op string) {
	if r := recover(); r != nil {
		t.fail(&Error{Op: op, Err: fmt.Errorf("panic: %v", r)})
	}
}

// loop waits for stops until nothing is left to wait for. It runs on the tracer thread.
func (t *Tracer) loop() {
	for {
		t.drainResumes()
		var ws unix.WaitStatus
		tid, err := t.wait(&ws)
		if err == unix.ECHILD {
			break
		}
		if err != nil {
			t.fail(&Error{Op: "wait4", Err: err})
			break
		}
		if tid != 0 {
			t.event(tid, ws)
		}
	}
	t.endNotifications()
	unix.Close(t.kick)
}

// wait waits for one event. While a thread is parked in a ptrace stop, Unpark may come from
// another thread, which nothing in wait4 would notice; then the eventfd is polled as well, with
// a bound on how long a stop can go unnoticed. Parking is rare and short.
func (t *Tracer) wait(ws *unix.WaitStatus) (int, error) {
	t.mu.Lock()
	parked := t.parked
	t.mu.Unlock()
	if parked == 0 {
		return wait4(-1, ws, 0)
	}
	tid, err := wait4(-1, ws, unix.WNOHANG)
	if tid != 0 || err != nil {
		return tid, err
	}
	fds := []unix.PollFd{{Fd: int32(t.kick), Events: unix.POLLIN}}
	bound := unix.Timespec{Nsec: 100_000}
	unix.Ppoll(fds, &bound, nil)
	var buf [8]byte
	unix.Read(t.kick, buf[:])
	return 0, nil
}

// event handles one change of state of one thread.
func (t *Tracer) event(tid int, ws unix.WaitStatus) {
	defer t.guard("event")
	if ws.Exited() || ws.Signaled() {
		t.exited(tid, ws)
		return
	}
	if !ws.Stopped() {
		return
	}
	t.mu.Lock()
	k := t.tasks[tid]
	if k == nil {
		// A child's first stop can be seen before its parent's report.
		if t.orphans == nil {
			t.orphans = make(map[int]unix.WaitStatus)
		}
		t.orphans[tid] = ws
		t.mu.Unlock()
		return
	}
	k.prove = false
	t.mu.Unlock()
	// Any stop but the one inside a call's entry shows that the thread has left its last call;
	// that one is followed by SyscallEnter, which shows it too.
	t.handler.Proved(tid)
	err := t.stopped(k, ws)
	if err != nil && !gone(err) {
		t.fail(err)
	}
}

func (t *Tracer) exited(tid int, ws unix.WaitStatus) {
	t.mu.Lock()
	k := t.tasks[tid]
	delete(t.tasks, tid)
	delete(t.orphans, tid)
	proved := false
	if k != nil {
		if k.state == parkedStop {
			t.parked--
		}
		k.state = running
		proved = k.prove
		k.prove = false
	}
	if tid == t.pid {
		t.status = ws
	}
	t.mu.Unlock()
	if tid == t.pid {
		t.first <- ws
	}
	if k == nil {
		return
	}
	if proved {
		t.handler.Proved(tid)
	}
	t.handler.Exited(tid, ws)
	t.findOrphans()
}

// findOrphans takes in children whose parent was killed before it could report them: a dying
// thread makes no more stops, and the child would be held for ever.
func (t *Tracer) findOrphans() {
	t.mu.Lock()
	var found []int
	for tid := range t.orphans {
		if parent, ok := parentOf(tid); ok && !t.hasProcess(parent) {
			found = append(found, tid)
		}
	}
	t.mu.Unlock()
	for _, tid := range found {
		t.handler.Created(0, tid, 0)
		t.adopt(&task{tid: tid, tgid: tid})
	}
}

// hasProcess reports whether a task of this process is known. The lock is held.
func (t *Tracer) hasProcess(pid int) bool {
	for _, k := range t.tasks {
		if k.tgid == pid {
			return true
		}
	}
	return false
}

// adopt adds a task and lets it go on from its first stop, if that was seen already.
func (t *Tracer) adopt(child *task) {
	t.mu.Lock()
	t.tasks[child.tid] = child
	ws, early := t.orphans[child.tid]
	delete(t.orphans, child.tid)
	killing := t.killing
	t.mu.Unlock()
	if killing {
		unix.Kill(child.tgid, unix.SIGKILL)
	}
	if early {
		t.event(child.tid, ws)
	}
}

// stopped handles a ptrace stop and resumes the thread, unless it is to stay.
func (t *Tracer) stopped(k *task, ws unix.WaitStatus) error {
	sig := ws.StopSignal()
	switch event := int(ws) >> 16; event {
	case unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK, unix.PTRACE_EVENT_CLONE:
		return t.forked(k)
	case unix.PTRACE_EVENT_EXEC:
		return t.execed(k)
	case unix.PTRACE_EVENT_SECCOMP:
		return t.seccompStop(k)
	case unix.PTRACE_EVENT_EXIT:
		t.handler.Exiting(k.tid)
	case unix.PTRACE_EVENT_STOP:
		switch sig {
		case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
			if k.tid == t.pid {
				select {
				case t.stops <- sig:
				default:
				}
			}
			return request("PTRACE_LISTEN", unix.PTRACE_LISTEN, k.tid, 0, 0)
		}
	case 0:
		if sig == syscallStop {
			return t.exitStop(k)
		}
		return t.signal(k, sig)
	}
	return t.resume(k, 0)
}

// resume lets the thread go on, to the exit stop of its call if that is awaited.
func (t *Tracer) resume(k *task, sig unix.Signal) error {
	how := unix.PTRACE_CONT
	if k.toExit {
		how = unix.PTRACE_SYSCALL
	}
	return resume(k.tid, how, sig)
}

// signal handles a signal-delivery stop: the signal is delivered, unless it is ours.
func (t *Tracer) signal(k *task, sig unix.Signal) error {
	if k.swallow == sig || sig == unix.SIGSTOP || sig >= minRealTime {
		var si siginfo
		if err := getSiginfo(k.tid, &si); err != nil {
			return err
		}
		if int(si.pid) == t.self {
			if k.swallow == sig && si.code == 0 {
				k.swallow = 0
				return t.resume(k, 0)
			}
			if si.code == siCodeQueue && si.value == cookie(t) || si.code == siCodeTkill && sig == unix.SIGSTOP {
				return t.resume(k, 0)
			}
		}
	}
	return t.resume(k, sig)
}

// forked reports a new task and lets both go on.
func (t *Tracer) forked(parent *task) error {
	msg, err := eventMsg(parent.tid)
	if err != nil {
		return err
	}
	flags, err := cloneFlags(parent.tid)
	if err != nil {
		return err
	}
	const cloneThread = 0x10000
	child := &task{tid: int(msg), tgid: int(msg)}
	if flags&cloneThread != 0 {
		child.tgid = parent.tgid
	}
	t.handler.Created(parent.tid, child.tid, flags)
	t.adopt(child)
	return t.resume(parent, 0)
}

// cloneFlags returns the clone flags of the call that a thread in a fork event is in.
func cloneFlags(tid int) (uint64, error) {
	var regs unix.PtraceRegs
	if err := getRegs(tid, &regs); err != nil {
		return 0, err
	}
	switch regs.Orig_rax {
	case unix.SYS_CLONE:
		return regs.Rdi, nil
	case unix.SYS_VFORK:
		return unix.CLONE_VM | unix.CLONE_VFORK, nil
	case unix.SYS_FORK:
		return 0, nil
	}
	return 0, &Error{Op: "clone flags", TID: tid, Err: fmt.Errorf("made by system call %d", regs.Orig_rax)}
}

// execed reports a new image. The kernel has ended the group's other threads, and the thread
// that called execve has taken over the leader's id.
func (t *Tracer) execed(k *task) error {
	msg, err := eventMsg(k.tid)
	if err != nil {
		return err
	}
	former := int(msg)
	t.mu.Lock()
	if former != k.tid {
		if k.state == parkedStop {
			t.parked--
		}
		delete(t.tasks, former)
	}
	fresh := &task{tid: k.tid, tgid: k.tid, swallow: k.swallow}
	t.tasks[k.tid] = fresh
	t.mu.Unlock()
	t.handler.Exec(k.tid, former)
	return t.resume(fresh, 0)
}

// seccompStop has the handler decide a call stopped by SECCOMP_RET_TRACE.
func (t *Tracer) seccompStop(k *task) error {
	var info syscallInfo
	if err := getSyscallInfo(k.tid, &info); err != nil {
		return err
	}
	k.call = Syscall{Nr: info.nr, Args: info.args, IP: info.ip, SP: info.sp, Mechanism: Stop}
	return t.decideStop(k)
}

func (t *Tracer) decideStop(k *task) error {
	for {
		t.setState(k, deciding)
		a := t.handler.SyscallEnter(k.tid, &k.call)
		if a.Kind != Park {
			t.setState(k, running)
			return t.actStop(k, a)
		}
		t.mu.Lock()
		if k.state == deciding {
			k.state = parkedStop
			t.parked++
			t.mu.Unlock()
			return nil
		}
		t.mu.Unlock() // Unpark came in between
	}
}

func (t *Tracer) setState(k *task, s parkState) {
	t.mu.Lock()
	k.state = s
	t.mu.Unlock()
}

// actStop carries out the handler's answer to a call at a ptrace stop.
func (t *Tracer) actStop(k *task, a Action) error {
	switch a.Kind {
	case Continue:
		return t.resume(k, 0)
	case Finish:
		k.toExit = true
		return t.resume(k, 0)
	case Kill:
		t.Kill()
		return t.resume(k, 0)
	}
	var regs unix.PtraceRegs
	if err := getRegs(k.tid, &regs); err != nil {
		return err
	}
	if a.Kind == Return {
		regs.Orig_rax, regs.Rax = ^uint64(0), uint64(a.Value)
	} else {
		setArgs(&regs, &a.Args)
		k.toExit, k.rewritten = true, true
	}
	if err := setRegs(k.tid, &regs); err != nil {
		return err
	}
	return t.resume(k, 0)
}

func setArgs(regs *unix.PtraceRegs, args *[6]uint64) {
	regs.Rdi, regs.Rsi, regs.Rdx = args[0], args[1], args[2]
	regs.R10, regs.R8, regs.R9 = args[3], args[4], args[5]
}

// exitStop reports the end of a call.
func (t *Tracer) exitStop(k *task) error {
	if !k.toExit {
		return t.resume(k, 0)
	}
	rewritten := k.rewritten
	k.toExit, k.rewritten = false, false
	var info syscallInfo
	if err := getSyscallInfo(k.tid, &info); err != nil {
		return err
	}
	ret := int64(info.nr)
	seen := t.handler.SyscallExit(k.tid, &k.call, ret)
	if rewritten || seen != ret {
		var regs unix.PtraceRegs
		if err := getRegs(k.tid, &regs); err != nil {
			return err
		}
		if rewritten {
			setArgs(&regs, &k.call.Args)
		}
		regs.Rax = uint64(seen)
		if err := setRegs(k.tid, &regs); err != nil {
			return err
		}
	}
	return t.resume(k, 0)
}

// drainResumes decides the stop-parked threads again whose wait is over.
func (t *Tracer) drainResumes() {
	for {
		t.mu.Lock()
		if len(t.resumes) == 0 {
			t.mu.Unlock()
			return
		}
		tid := t.resumes[0]
		t.resumes = t.resumes[1:]
		k := t.tasks[tid]
		ok := k != nil && k.state == parkedStop
		if ok {
			t.parked--
		}
		t.mu.Unlock()
		if ok {
			func() {
				defer t.guard("unpark")
				if err := t.decideStop(k); err != nil && !gone(err) {
					t.fail(err)
				}
			}()
		}
	}
}

// Unpark presents the parked call of thread tid to the handler again.
func (t *Tracer) Unpark(tid int) {
	t.mu.Lock()
	k := t.tasks[tid]
	if k == nil {
		t.mu.Unlock()
		return
	}
	switch k.state {
	case deciding:
		k.state = decideAgain
	case parkedStop:
		t.resumes = append(t.resumes, tid)
		t.mu.Unlock()
		if unix.Gettid() != t.tid {
			one := [8]byte{1}
			unix.Write(t.kick, one[:])
		}
		return
	case parkedNotif:
		t.mu.Unlock()
		t.decideNotif(k)
		return
	}
	t.mu.Unlock()
}
