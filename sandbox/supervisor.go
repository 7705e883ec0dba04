package sandbox

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/blame"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// supervisor is where ptrace and the model of the kernel meet: it is the ptrace.Handler that has
// kernel.Kernel decide. One lock covers the model, since the calls of threads that share memory
// must be decided one after another.
type supervisor struct {
	verify policy.VerifyMode
	wx     policy.WXMode
	log    hclog.Logger
	trace  *tracer
	engine *ptrace.Tracer

	mu      sync.Mutex
	probed  mm.Config // the machine's settings, when they were last looked at
	k       *kernel.Kernel
	machine *machine
	report  Report
	ends    ends
	held    []ptrace.Rlimit // what no program may raise, besides what the model follows
	late    bool            // the time was up
	hidden  map[int]bool    // processes that cannot be looked at
	failed  error

	confined *confinement // does not change; nil for a program that is not
	notices  notices      // has a lock of its own
	watching watching
	// mappings that are about to become executable, by thread
	protecting map[int]*protecting
	proofs     []int  // threads to be proved to have left their calls
	copied     []byte // what is being written for the program
	reach      *reach // nil where the program is not confined
}

func newSupervisor(c *Cmd) (*supervisor, error) {
	cfg, err := probeConfig()
	if err != nil {
		return nil, &Error{Op: "probe", Err: err}
	}
	s := &supervisor{
		verify:  c.Policy.Verify,
		wx:      c.Policy.WX,
		log:     c.Logger,
		machine: &machine{},
		report:  newReport(c),
		reach:   newReach(c),
	}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	if c.Trace != nil {
		s.trace = newTracer(c.Trace)
	}
	s.probed = *cfg
	s.k = kernel.New(cfg, s.machine)
	if c.Policy.ASLR == policy.ASLRSeed {
		s.k.SetSeed(c.Policy.Seed)
	}
	switch c.Policy.Layout {
	case policy.LayoutTopDown:
		s.k.SetLayout(mm.TopDown)
	case policy.LayoutBottomUp:
		s.k.SetLayout(mm.BottomUp)
	case policy.LayoutLegacy:
		s.k.SetLayout(mm.Legacy)
	}
	if err := checkHost(&c.Policy, cfg.MaxMapCount); err != nil {
		return nil, err
	}
	if n, ok := c.Policy.Limits[policy.LimitMapCount]; ok {
		s.k.SetMapCount(n)
	}
	if n, _, ok := c.Policy.Limit(policy.LimitProcs); ok {
		s.k.SetTasks(n)
	}
	if ledger, err := ledgerFor(&c.Policy); err != nil {
		return nil, &Error{Op: "--overcommit", Err: err}
	} else if ledger != nil {
		s.k.SetLedger(*ledger)
		if s.watching.filter, err = growthFilter().Export(); err != nil {
			return nil, &Error{Op: "seccomp filter", Err: err}
		}
	}
	s.k.SetWX(c.Policy.WX)
	if s.reach != nil {
		s.k.SetMaker(os.Getpid())
	}
	s.held = heldLimits(&c.Policy)
	if len(rlimitsOf(&c.Policy)) > 0 {
		s.k.SetHardLimits(hardLimits(&c.Policy))
	}
	return s, nil
}

// fail records the first failure and ends the tree: a process whose address space is not known
// must not go on. The lock is held.
func (s *supervisor) fail(op string, tid int, err error) {
	if errors.Is(err, kernel.ErrGone) {
		return // it was killed meanwhile, and its end is about to be reported
	}
	if (errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT)) && dying(tid) {
		return
	}
	if s.failed == nil {
		s.failed = &Error{Op: op, TID: tid, Err: err}
		s.log.Error("sandbox failed", "op", op, "thread", tid, "error", err)
	}
}

// SyscallEnter implements ptrace.Handler.
func (s *supervisor) SyscallEnter(tid int, call *ptrace.Syscall) ptrace.Action {
	if action, ok := s.confined.makeFileCall(tid, call); ok {
		return action
	}
	s.mu.Lock()
	action, prove := s.enter(tid, call)
	s.unlock(prove)
	return action
}

// unlock releases the lock and then has the engine do what was asked for under it.
func (s *supervisor) unlock(prove int) {
	wake := s.k.TakeWakeups()
	s.setBack()
	s.killOverdrawn()
	proofs := s.proofs
	s.proofs = nil
	s.mu.Unlock()
	if prove == 0 && len(wake) == 0 && len(proofs) == 0 {
		return
	}
	for _, tid := range proofs {
		s.engine.Prove(tid)
	}
	if prove != 0 {
		s.engine.Prove(prove)
	}
	for _, tid := range wake {
		s.engine.Unpark(tid)
	}
}

// setBack takes back what a call has raised above the policy's limits. A tree that it cannot hold to them
// ends.
func (s *supervisor) setBack() {
	for _, r := range s.k.TakeRaised() {
		if err := s.machine.setBack(&r); err != nil {
			s.fail("limits", r.TID, err)
			s.engine.Kill()
		}
	}
}

func (s *supervisor) enter(tid int, call *ptrace.Syscall) (a ptrace.Action, prove int) {
	t := s.k.Task(tid)
	if t == nil {
		s.fail("call of an unknown thread", tid, fmt.Errorf("%s", linux.SyscallName(call.Nr)))
	}
	if s.failed != nil {
		return ptrace.Action{Kind: ptrace.Kill}, 0
	}
	s.k.Settle(t)
	if a, prove, ok := s.reachCall(t, call); ok {
		return s.orKill(a), prove
	}
	if isClone(call.Nr) {
		return s.clone(t, call)
	}
	if call.Nr == linux.SYS_SYSINFO || call.Nr == linux.SYS_GETRLIMIT {
		return s.orKill(ptrace.Action{Kind: ptrace.Finish}), 0
	}
	if call.Nr == linux.SYS_WAIT4 || call.Nr == linux.SYS_WAITID {
		return ptrace.Action{Kind: ptrace.Continue}, 0 // stopped for the engine's sake
	}
	if s.k.Counts() {
		if a, prove, ok := s.memoryCall(t, call); ok {
			return s.orKill(a), prove
		}
	}
	if s.verify == policy.VerifyEvery {
		s.check(t)
	}
	if call.Nr == linux.SYS_EXECVE || call.Nr == linux.SYS_EXECVEAT {
		if s.verify == policy.VerifyExit {
			s.check(t)
		}
		if why := s.refusesExec(t, call); why != nil {
			c := callOf(call)
			v := kernel.Verdict{Kind: kernel.Refuse, Result: mm.Result{Errno: why.Errno, Refusal: why}}
			s.record(t, &c, &v)
			return s.orKill(ptrace.Action{Kind: ptrace.Return, Value: v.Result.Value()}), 0
		}
		a = ptrace.Action{Kind: ptrace.Continue}
		if restored, err := s.k.BeginExec(t); err != nil {
			s.fail("exec", tid, err)
		} else if restored {
			a.Kind = ptrace.Finish
		}
		return s.orKill(a), 0
	}
	c := callOf(call)
	c.Observable = call.Mechanism == ptrace.Stop
	s.ends.entering(t)
	v, err := s.k.Decide(t, c)
	s.noteHidden(tid)
	s.judged(t, &c, &v)
	if err != nil {
		s.fail(linux.SyscallName(call.Nr), tid, err)
		return s.orKill(ptrace.Action{Kind: ptrace.Continue}), 0
	}
	switch v.Kind {
	case kernel.Wait:
		return ptrace.Action{Kind: ptrace.Park}, v.WaitFor
	case kernel.Run:
		s.record(t, &c, &v)
		a = ptrace.Action{Kind: ptrace.Continue}
	case kernel.Observe:
		a = ptrace.Action{Kind: ptrace.Finish}
	case kernel.Rewrite:
		a = ptrace.Action{Kind: ptrace.Rewrite, Args: v.Args}
	case kernel.Refuse:
		s.record(t, &c, &v)
		a = ptrace.Action{Kind: ptrace.Return, Value: v.Result.Value()}
	}
	return s.orKill(a), 0
}

// orKill returns a, or the tree's end when anything has failed.
func (s *supervisor) orKill(a ptrace.Action) ptrace.Action {
	if s.failed != nil {
		return ptrace.Action{Kind: ptrace.Kill}
	}
	return a
}

// SyscallExit implements ptrace.Handler.
func (s *supervisor) SyscallExit(tid int, call *ptrace.Syscall, ret int64) int64 {
	s.mu.Lock()
	defer s.unlock(0)
	t := s.k.Task(tid)
	switch {
	case isClone(call.Nr):
		if t != nil {
			s.k.EndClone(t) // what it made was reported to Created
		}
		return ret
	case t != nil && (call.Nr == linux.SYS_SYSINFO || call.Nr == linux.SYS_GETRLIMIT):
		s.asked(t, call, ret)
		return ret
	case t != nil && (call.Nr == linux.SYS_EXECVE || call.Nr == linux.SYS_EXECVEAT):
		if err := s.k.EndExec(t); err != nil {
			s.fail("exec", tid, err)
		}
		return ret
	}
	if t == nil {
		s.fail("end of a call of an unknown thread", tid, fmt.Errorf("%s", linux.SyscallName(call.Nr)))
		return ret
	}
	if p := s.protecting[tid]; p != nil {
		ret = s.protected(t, p, call, ret)
		if s.verify == policy.VerifyEvery {
			s.k.Settle(t)
			s.check(t)
		}
		return ret
	}
	if s.k.Counts() {
		if seen, ok := s.memoryExit(t, call, ret); ok {
			return seen
		}
	}
	return s.complete(t, call, ret)
}

// record counts and traces a decided call.
func (s *supervisor) record(t *kernel.Task, c *kernel.Call, v *kernel.Verdict) {
	s.report.count(c, v)
	if v.Result.Refusal != nil {
		s.refused(t, s.ends.refused(t, c, v), c, v)
		return
	}
	s.ends.went(t, c)
	s.traced(t, c, v, nil)
}

// refused records that t was refused something.
func (s *supervisor) refused(t *kernel.Task, r *blame.Refusal, c *kernel.Call, v *kernel.Verdict) {
	s.report.refuse(r)
	s.traced(t, c, v, r)
}

func (s *supervisor) traced(t *kernel.Task, c *kernel.Call, v *kernel.Verdict, refused *blame.Refusal) {
	if s.trace == nil {
		return
	}
	if err := s.trace.event(time.Now(), t, c, v, refused); err != nil {
		s.fail("trace", t.TID, err)
		s.engine.Kill()
	}
}

// callOf is a stopped call as the model knows it.
func callOf(call *ptrace.Syscall) kernel.Call {
	return kernel.Call{Nr: call.Nr, Args: call.Args, IP: call.IP, SP: call.SP}
}

// Created implements ptrace.Handler.
func (s *supervisor) Created(parent, child int, flags uint64) {
	s.mu.Lock()
	defer s.unlock(0)
	if err := s.create(parent, child, flags); err != nil {
		if s.fail("clone", child, err); s.failed != nil {
			s.engine.Kill()
			return
		} // else it was killed
	}
	s.report.created(flags)
	if w := s.ends.watched[s.k.Task(parent).Group.TGID]; w != nil && flags&linux.CLONE_THREAD == 0 {
		w.Forked(parent)
	}
}

func (s *supervisor) create(parent, child int, flags uint64) error {
	p := s.k.Task(parent)
	if p == nil {
		return fmt.Errorf("by unknown thread %d", parent)
	}
	s.k.Settle(p)
	_, err := s.k.Clone(p, child, flags)
	return err
}

// Exec implements ptrace.Handler.
func (s *supervisor) Exec(tid, former int) {
	s.mu.Lock()
	defer s.unlock(0)
	if s.k.Len() == 0 {
		if _, err := s.k.Start(tid); err != nil {
			s.fail("start", tid, err)
			return
		}
		s.k.Task(tid).Group.Watched = s.watching.inherit
		s.report.created(0)
		s.ends.first = tid
	}
	if t := s.k.Task(former); t != nil {
		for _, other := range append(s.k.Siblings(t), former) {
			s.forget(other) // the ends of the others are not reported, and tid may be one of them
		}
	}
	t, why, err := s.k.Exec(tid, former)
	if err != nil {
		if s.fail("exec", tid, err); s.failed != nil {
			s.engine.Kill()
		}
		return
	}
	delete(s.ends.watched, tid) // another program, which is judged for itself
	if why == nil {
		s.judged(t, &kernel.Call{Nr: linux.SYS_EXECVE}, &kernel.Verdict{Kind: kernel.Run})
	} else {
		// There is no way back from an exec, and no program yet that could be told.
		c := kernel.Call{Nr: linux.SYS_EXECVE}
		v := kernel.Verdict{Kind: kernel.Refuse, Result: mm.Result{Errno: why.Errno, Refusal: why}}
		s.judged(t, &c, &v)
		s.record(t, &c, &v)
		s.ends.killed(t)
		unix.Kill(tid, unix.SIGKILL)
	}
	s.report.Execs++
	s.noteHidden(tid)
}

// noteHidden records that a task cannot be looked at. Its calls then run undecided; where they
// were to be verified, that cannot be had.
func (s *supervisor) noteHidden(tid int) {
	t := s.k.Task(tid)
	if t == nil || !t.Hidden() || s.hidden[t.Group.TGID] {
		return
	}
	if s.hidden == nil {
		s.hidden = make(map[int]bool)
	}
	s.hidden[t.Group.TGID] = true
	s.report.Hidden++
	s.log.Warn("not decided", "process", t.Group.TGID, "program", t.Group.Name, "why", kernel.ErrHidden)
	if s.verify != policy.VerifyOff {
		s.fail("verify", tid, kernel.ErrHidden)
		s.engine.Kill()
	}
}

// Exiting implements ptrace.Handler.
func (s *supervisor) Exiting(tid int) {
	s.mu.Lock()
	defer s.unlock(0)
	t := s.k.Task(tid)
	if t == nil {
		return
	}
	// A thread that ends by itself has returned from its last call. One that is killed may have
	// been killed in it, before it took effect.
	nr := currentSyscall(tid)
	s.k.Leave(t, nr)
	if nr == linux.SYS_EXECVE || nr == linux.SYS_EXECVEAT {
		return // an exec that failed too late to return has left half of the new image
	}
	if s.verify == policy.VerifyOff || s.failed != nil || !s.k.Last(t) || !t.Settled() {
		return
	}
	s.check(t)
	if s.failed != nil {
		s.engine.Kill()
	}
}

// Exited implements ptrace.Handler.
func (s *supervisor) Exited(tid int, status unix.WaitStatus) {
	s.mu.Lock()
	defer s.unlock(0)
	if t := s.k.Task(tid); t != nil {
		s.forget(tid)
		delete(s.watching.failed, tid)
		s.k.Exit(t)
		if tid == t.Group.TGID { // a process's first thread is reported last
			s.ended(t, status)
		}
	}
}

// forget drops what is remembered of the calls of a thread that has ended.
func (s *supervisor) forget(tid int) {
	s.absolve(tid)
	delete(s.watching.atExit, tid)
	delete(s.watching.seeks, tid)
	delete(s.protecting, tid)
	if s.reach != nil {
		delete(s.reach.connects, tid)
	}
}

// Proved implements ptrace.Handler.
func (s *supervisor) Proved(tid int) {
	s.mu.Lock()
	defer s.unlock(0)
	// A thread that was killed in its call has not made it, perhaps; its end is reported next, and
	// then the kernel's list says.
	s.absolve(tid)
	if t := s.k.Task(tid); t != nil && !dying(tid) {
		s.k.Settle(t)
	}
	if s.failed != nil {
		s.engine.Kill()
	}
}
