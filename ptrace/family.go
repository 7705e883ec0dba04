package ptrace

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A new thread makes two reports: its parent's event and its own first stop, and they come in
// either order. Created is told at the parent's; until then the child is unborn, and is held in
// its first stop. So that a child runs no instruction before Created.
//
// A parent that is killed between the two never makes its report. Then the child, which natively
// would live, is killed: to everybody else, it is as if its parent had died just before the call.

// stranger handles a stop of a thread that is not known.
func (t *Tracer) stranger(tid int, ws unix.WaitStatus) {
	_, ghost := t.ghosts[tid]
	if th := t.unborn[tid]; ghost || th != nil && th.stop.Stopped() {
		// It is dying, and stops on its way (PTRACE_EVENT_EXIT).
		t.ok("resume", tid, request(unix.PTRACE_CONT, tid, 0, 0))
		return
	}
	if int(ws)>>16 == unix.PTRACE_EVENT_EXIT {
		// Killed before its first stop.
		t.unborn[tid] = &thread{tid: tid, stop: ws}
		t.ok("resume", tid, request(unix.PTRACE_CONT, tid, 0, 0))
		return
	}
	if int(ws)>>16 != unix.PTRACE_EVENT_STOP {
		t.fail(&Error{Op: "wait4", TID: tid, Err: fmt.Errorf("stop %#x of an unknown thread", uint32(ws))})
		unix.Kill(tid, unix.SIGKILL)
		return
	}
	th := &thread{tid: tid, stop: ws}
	t.unborn[tid] = th
	var errno unix.Errno
	if th.flags, errno = cloneFlags(tid); errno != 0 {
		t.ok("clone flags", tid, errno)
		return
	}
	if th.flags&unix.CLONE_THREAD == 0 {
		th.parent = parentOf(tid)
	}
	if th.parent != 0 && th.parent != t.self && th.flags&unix.CLONE_PARENT == 0 && t.groups[th.parent] == 0 {
		unix.Kill(tid, unix.SIGKILL) // its parent has died already
	}
}

// orphans kills the unborn children of a process whose threads that could report them have ended.
func (t *Tracer) orphans(tgid int) {
	for tid, th := range t.unborn {
		if th.parent == tgid && th.flags&unix.CLONE_PARENT == 0 && th.stop.Stopped() {
			unix.Kill(tid, unix.SIGKILL)
		}
	}
}

// endUnborn kills the children that nobody is left to report.
func (t *Tracer) endUnborn() {
	for tid, th := range t.unborn {
		if th.stop.Stopped() {
			unix.Kill(tid, unix.SIGKILL)
		}
	}
}

// parentOf returns the process id of a process's parent, 0 when it cannot be known.
func parentOf(pid int) int {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// pid (name) state ppid; the name may have parentheses in it
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(string(fields[1]))
	return ppid
}

// cloneFlags returns the flags, without the exit signal, of the call that a thread in a fork
// event is in, or that a thread in its first stop was made by: it has its parent's registers.
func cloneFlags(tid int) (uint64, unix.Errno) {
	var regs unix.PtraceRegs
	if errno := getRegs(tid, &regs); errno != 0 {
		return 0, errno
	}
	const exitSignal = 0xff
	switch regs.Orig_rax {
	case unix.SYS_CLONE:
		return regs.Rdi &^ exitSignal, 0
	case unix.SYS_VFORK:
		return unix.CLONE_VM | unix.CLONE_VFORK, 0
	case unix.SYS_FORK:
		return 0, 0
	case unix.SYS_CLONE3:
		// Another thread may have changed them meanwhile: where that matters, clone3 is
		// refused or rewritten as clone.
		var flags [8]byte
		if ReadMemory(tid, regs.Rdi, flags[:]) == nil {
			var v uint64
			for i := range flags {
				v |= uint64(flags[i]) << (8 * i)
			}
			return v, 0
		}
	}
	return 0, unix.ENOSYS
}

// forked reports a new thread or process and lets both go on.
func (t *Tracer) forked(parent *thread, event int) {
	tid, errno := eventMsg(parent.tid, event)
	if !t.ok("PTRACE_GETEVENTMSG", parent.tid, errno) {
		return
	}
	flags, errno := cloneFlags(parent.tid)
	if !t.ok("clone flags", parent.tid, errno) {
		return // killed: the child is not reported
	}
	child := t.unborn[tid]
	early := child != nil
	delete(t.unborn, tid)
	if !early {
		child = &thread{tid: tid}
	}
	child.first = true
	child.tgid = tid
	if flags&unix.CLONE_THREAD != 0 {
		child.tgid = parent.tgid
	}
	if parent.rewritten {
		child.inherited, child.call, child.args = true, parent.call, parent.args
	}
	t.groups[child.tgid]++
	t.mu.Lock()
	t.threads[tid] = child
	if t.killing {
		unix.Tgkill(child.tgid, tid, unix.SIGKILL)
	}
	t.mu.Unlock()
	t.handler.Created(parent.tid, tid, flags)
	if early {
		if child.stop.Stopped() {
			t.stopped(child, child.stop)
		} else {
			t.exited(tid, child, child.stop)
		}
	}
	t.resume(parent, 0)
}

// firstStop prepares a new thread for its first instruction.
func (t *Tracer) firstStop(th *thread) {
	th.first = false
	if th.inherited {
		th.inherited = false
		t.restoreArgs(th)
	}
}

// execed reports a new image. The kernel has ended the group's other threads, and the thread that
// called execve has taken over the leader's id, whose own end is not reported.
func (t *Tracer) execed(leader *thread) {
	tgid := leader.tid
	former, errno := eventMsg(tgid, unix.PTRACE_EVENT_EXEC)
	if !t.ok("PTRACE_GETEVENTMSG", tgid, errno) {
		return
	}
	th := leader
	if former != tgid || t.groups[tgid] != 1 {
		if th = t.usurp(tgid, former); th == nil {
			return
		}
	}
	th.rewritten = false // the new image has registers of its own
	th.confining, th.wanted, th.detour, th.ahead = nil, nil, nil, nil
	t.endConfinement()
	t.handler.Exec(tgid, former)
	t.resume(th, 0)
}

// usurp gives the leader's id to thread former and drops the group's other threads.
func (t *Tracer) usurp(tgid, former int) *thread {
	t.mu.Lock()
	th := t.threads[former]
	if th == nil {
		t.mu.Unlock()
		t.fail(&Error{Op: "exec", TID: tgid, Err: fmt.Errorf("by unknown thread %d", former)})
		return nil
	}
	var proved []int
	for tid, other := range t.threads {
		if other.tgid != tgid {
			continue
		}
		t.awaitIdle(other)
		if other.proving {
			proved = append(proved, tid)
			other.proving = false
		}
		delete(t.threads, tid)
		if tid != tgid && tid != former {
			t.ghosts[tid] = struct{}{}
		}
	}
	th.tid, th.tgid, th.state = tgid, tgid, running
	t.threads[tgid] = th
	t.mu.Unlock()
	t.groups[tgid] = 1
	t.orphans(tgid)
	for _, tid := range proved {
		t.handler.Proved(tid)
	}
	return th
}

// exited handles the end of a thread.
func (t *Tracer) exited(tid int, th *thread, ws unix.WaitStatus) {
	if th == nil {
		if _, ghost := t.ghosts[tid]; ghost {
			delete(t.ghosts, tid)
			return
		}
		// Killed in its first stop, or before it. If its parent still reports it, it is born
		// and dies then.
		if th = t.unborn[tid]; th == nil {
			th = &thread{tid: tid}
			t.unborn[tid] = th
		}
		th.stop = ws
		return
	}
	if tid == th.tgid && t.groups[tid] > 1 {
		t.lost(tid, ws)
	}
	t.gone(tid, th, ws)
}

// gone reports the end of a thread that is known.
func (t *Tracer) gone(tid int, th *thread, ws unix.WaitStatus) {
	t.mu.Lock()
	t.awaitIdle(th)
	delete(t.threads, tid)
	proved := th.proving
	if tid == t.pid {
		t.status = ws
	}
	t.mu.Unlock()
	if tid == t.pid {
		t.first <- ws
	}
	if proved {
		t.handler.Proved(tid)
	}
	t.handler.Exited(tid, ws)
	t.endConfinement()
	if t.groups[th.tgid]--; t.groups[th.tgid] == 0 {
		delete(t.groups, th.tgid)
		t.orphans(th.tgid)
	}
}

// lost reports the end of what is left of a group whose leader's end was reported: that comes last,
// so it is a thread that was killed in execve when it had taken over the leader's id already, and
// had not reported that yet. Its former id is heard of no more.
func (t *Tracer) lost(tgid int, ws unix.WaitStatus) {
	var left []int
	t.mu.Lock()
	for tid, th := range t.threads {
		if th.tgid == tgid && tid != tgid {
			left = append(left, tid)
		}
	}
	t.mu.Unlock()
	for _, tid := range left {
		t.exited(tid, t.threads[tid], ws)
	}
}

// awaitIdle waits, with mu held, until the other threads of ours that ask the Handler about th
// have their answer, so that the Handler is not asked about a thread that it was told has ended.
// Handlers do not block.
func (t *Tracer) awaitIdle(th *thread) {
	for th.state == asking && t.err == nil {
		t.waiting = true
		t.idle.Wait()
	}
	t.waiting = false
}
