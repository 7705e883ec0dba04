package ptrace

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// Config says what to run and who decides.
type Config struct {
	Path string   // the program's file
	Args []string // its arguments, the name first
	Env  []string // "key=value" each; nil means ours
	Dir  string   // its working directory; empty means ours

	// Files become descriptors 0, 1, 2, ...; a nil entry is closed in the program.
	Files []*os.File
	// SysProcAttr holds more attributes of the new process; Ptrace and Pdeathsig are ours.
	SysProcAttr *syscall.SysProcAttr

	// Filter is the seccomp filter, an array of struct sock_filter. It must not let the
	// program make children that are not traced (CLONE_UNTRACED, and clone3, whose flags
	// are in memory), nor calls of another ABI than x86-64's.
	Filter []byte
	// Filters are more seccomp filters, loaded in this order after everything else. The strictest answer
	// to a call wins: an errno of theirs over a stop of Filter's. They must not answer TRACE or notify.
	Filters [][]byte
	// Restart lists calls that the filter notifies and that the kernel itself never lets a
	// signal interrupt. Waiting for the notification can be interrupted; these calls are then
	// made again after the signal's handler, and the program does not notice.
	Restart []uint64

	// Prepare, unless it is nil, is told when the program has been executed and before it has any of
	// the filters, and returns calls that it is to make then. no_new_privs is set already. Descriptors
	// lent, lent+1, ... of the program are those of Lent.
	Prepare func(pid, lent int) ([]Call, error)
	// Lent are files that these calls need. They are closed before the first instruction.
	Lent []*os.File
	// CloseOthers closes all descriptors but those of Files: what is open here and not close-on-exec
	// would be inherited otherwise.
	CloseOthers bool

	// The program's personality(2) is ours with these flags set and cleared, such as
	// ADDR_NO_RANDOMIZE and ADDR_COMPAT_LAYOUT. What must be changed and cannot be is an error that
	// wraps ErrPersonality.
	SetPersonality, ClearPersonality uint32

	// Rlimits are resource limits of the program alone. They hold from its exec on, which lays it
	// out by them. Where they keep it from being executed, the error is an *RlimitError.
	Rlimits []Rlimit
	// Loaded, unless it is nil, is told when the program's image is in place, before its first
	// instruction. With Rlimits it is the image that there would be without them, and the program
	// is executed once more. An error is Start's.
	Loaded func(pid int) error

	ExitStops bool // report Handler.Exiting
	Handler   Handler
}

// New returns the tracer of a tree that Start begins. The Handler may have it from then on, and so before
// it is asked anything.
func New(cfg Config) *Tracer {
	t := &Tracer{
		config:      cfg,
		handler:     cfg.Handler,
		restarts:    cfg.Restart,
		self:        os.Getpid(),
		listener:    -1,
		ended:       make(chan struct{}),
		notifsEnded: make(chan struct{}),
		first:       make(chan unix.WaitStatus, 1),
		stops:       make(chan syscall.Signal, 16),
		unborn:      make(map[int]*thread),
		ghosts:      make(map[int]struct{}),
		groups:      make(map[int]int),
		threads:     make(map[int]*thread),
		starting:    true,
	}
	t.idle.L = &t.mu
	return t
}

// Start starts the program and returns when its first image is in place, the filter is on,
// Handler.Exec has been called for it, and it runs. It is called once. No helper process is needed:
//
//	fork ── TRACEME ── exec ── stop ── DETACH with SIGSTOP ── SEIZE ── SIGCONT
//	     ── stop: no_new_privs, Prepare's calls and the filter are injected ── continue
//
// With Rlimits, these and another exec of the program are injected after the filter, and Filters last.
//
// SEIZE is what job control needs: a thread attached by TRACEME cannot stay in a group stop.
// Until EXITKILL is on with it, the parent death signal stands in. The error is an *ExecError
// when the program cannot be executed.
func (t *Tracer) Start() error {
	cfg := &t.config
	if err := cfg.check(); err != nil {
		return err
	}
	started := make(chan error)
	go onOwnThread(make(chan bool), func() { t.main(cfg, started) })
	return <-started
}

// onOwnThread calls f on a thread that belongs to it alone and has no children yet.
//
// The tracees belong to their thread: they are killed when it ends. And wait4 with __WNOTHREAD
// takes any child that the thread has forked, so there must be none that another goroutine forked
// on it before. Nor may it be the main thread: that gets the children of threads that end.
func onOwnThread(landed chan<- bool, f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread() // nothing of ours is left on it then
	if unix.Gettid() != unix.Getpid() && childless() {
		close(landed)
		f()
		return
	}
	// While this goroutine keeps its thread, another one runs on another.
	next := make(chan bool)
	go onOwnThread(next, f)
	<-next
	close(landed)
}

// childless reports whether the calling thread has no children, alive or not.
func childless() bool {
	return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL|unix.WNOTHREAD, nil) == unix.ECHILD
}

// main is the tracer thread.
func (t *Tracer) main(cfg *Config, started chan<- error) {
	t.tid = unix.Gettid()
	link, err := newFdLink()
	if err != nil {
		started <- err
		return
	}
	pid, err := t.fork(cfg, link)
	if err != nil {
		link.close()
		started <- err
		return
	}
	t.pid = pid
	err = t.launch(cfg, link)
	link.close()
	if err != nil {
		if e, ok := err.(*ExecError); ok {
			e.Path = cfg.Path
		}
		t.abandon()
		started <- err
		return
	}
	started <- nil
	t.loop()
	close(t.first)
	close(t.ended)
}

// fork makes the process, which stops at its exec.
func (t *Tracer) fork(cfg *Config, link *fdLink) (pid int, err error) {
	var attr syscall.SysProcAttr
	if cfg.SysProcAttr != nil {
		attr = *cfg.SysProcAttr
	}
	attr.Ptrace = true
	attr.Pdeathsig = unix.SIGKILL
	files := make([]uintptr, len(cfg.Files), len(cfg.Files)+1+len(cfg.Lent))
	for i, f := range cfg.Files {
		files[i] = ^uintptr(0)
		if f != nil {
			files[i] = f.Fd()
		}
	}
	files = link.inherit(files)
	for _, f := range cfg.Lent {
		files = append(files, f.Fd())
	}
	restore, err := changePersonality(cfg.SetPersonality, cfg.ClearPersonality)
	if err != nil {
		return 0, err
	}
	defer restore()
	pid, err = syscall.ForkExec(cfg.Path, cfg.Args, &syscall.ProcAttr{Dir: cfg.Dir, Env: cfg.environ(), Files: files, Sys: &attr})
	runtime.KeepAlive(cfg)
	if err != nil {
		return 0, forkError(cfg.Path, err)
	}
	return pid, nil
}

func (cfg *Config) environ() []string {
	if cfg.Env == nil {
		return syscall.Environ()
	}
	return cfg.Env
}

// forkError tells a program that cannot be executed from a host that does not let us trace: both
// come back as one errno.
func forkError(path string, err error) error {
	if err == syscall.EPERM || err == syscall.ENOSYS {
		if traced() {
			return &Error{Op: "PTRACE_TRACEME", Err: errTraced}
		}
		if unix.Access(path, unix.X_OK) == nil {
			return &Error{Op: "PTRACE_TRACEME", Err: err}
		}
	}
	return &ExecError{Path: path, Err: err}
}

// traced reports whether this process has a tracer.
func traced() bool {
	status, err := os.ReadFile("/proc/self/status")
	return err == nil && bytes.Contains(status, []byte("\nTracerPid:")) && !bytes.Contains(status, []byte("\nTracerPid:\t0\n"))
}

// changePersonality sets and clears flags for what this thread forks: the personality is the
// thread's own, and is inherited. Containers may forbid the call, so that it is not made for nothing.
func changePersonality(set, clear uint32) (restore func(), err error) {
	if set|clear == 0 {
		return func() {}, nil
	}
	const query = 0xffffffff
	old, _, errno := unix.Syscall(unix.SYS_PERSONALITY, query, 0, 0)
	wanted := old&^uintptr(clear) | uintptr(set)
	if errno == 0 && wanted == old {
		return func() {}, nil
	}
	if errno == 0 {
		_, _, errno = unix.Syscall(unix.SYS_PERSONALITY, wanted, 0, 0)
	}
	if errno != 0 {
		return nil, &Error{Op: fmt.Sprintf("personality(%#x)", wanted), Err: fmt.Errorf("%w: %w", ErrPersonality, errno)}
	}
	return func() { unix.Syscall(unix.SYS_PERSONALITY, old, 0, 0) }, nil
}

// launch takes the process from its exec stop to its first instruction under the filter.
func (t *Tracer) launch(cfg *Config, link *fdLink) error {
	var ws unix.WaitStatus
	if _, errno := wait4(t.pid, &ws, 0); errno != 0 {
		return &Error{Op: "wait for exec", TID: t.pid, Err: errno}
	}
	if !ws.Stopped() || ws.StopSignal() != unix.SIGTRAP {
		return t.unexpected("exec", ws)
	}
	if err := t.seize(cfg.ExitStops); err != nil {
		return err
	}
	if cfg.Loaded != nil {
		if err := cfg.Loaded(t.pid); err != nil {
			return err
		}
	}
	if err := t.confine(cfg, link); err != nil {
		return err
	}
	if len(cfg.Rlimits) > 0 {
		if err := t.relimit(cfg); err != nil {
			return err
		}
	}
	if err := t.load(cfg.Filters); err != nil {
		return err
	}
	t.mu.Lock()
	t.threads[t.pid] = &thread{tid: t.pid, tgid: t.pid}
	t.groups[t.pid] = 1
	t.starting = false
	if t.killing {
		t.kill()
	}
	t.mu.Unlock()
	t.execReport()
	t.mu.Lock()
	err := t.err
	t.mu.Unlock()
	if err != nil {
		return err
	}
	for _, sig := range t.deferred {
		unix.Tgkill(t.pid, t.pid, sig)
	}
	t.ok("PTRACE_CONT", t.pid, request(unix.PTRACE_CONT, t.pid, 0, 0))
	return nil
}

// execReport is in a function of its own for the guard's sake.
func (t *Tracer) execReport() {
	defer t.guard("Handler.Exec", &t.pid)
	t.handler.Exec(t.pid, t.pid)
}

// seize changes from the attachment by TRACEME to SEIZE. In between, the process is in a group
// stop; SIGCONT ends it. Afterwards it is in the delivery stop of that signal, which it never
// gets.
func (t *Tracer) seize(exitStops bool) error {
	if errno := request(unix.PTRACE_DETACH, t.pid, 0, uintptr(unix.SIGSTOP)); errno != 0 {
		return &Error{Op: "PTRACE_DETACH", TID: t.pid, Err: errno}
	}
	var ws unix.WaitStatus
	if _, errno := wait4(t.pid, &ws, unix.WUNTRACED); errno != 0 {
		return &Error{Op: "wait for stop", TID: t.pid, Err: errno}
	}
	if !ws.Stopped() {
		return t.unexpected("stop", ws)
	}
	opts := unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
		unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESECCOMP
	if exitStops {
		opts |= unix.PTRACE_O_TRACEEXIT
	}
	if errno := request(unix.PTRACE_SEIZE, t.pid, 0, uintptr(opts)); errno != 0 {
		return &Error{Op: "PTRACE_SEIZE", TID: t.pid, Err: errno}
	}
	continued := false
	for {
		if _, errno := wait4(t.pid, &ws, 0); errno != 0 {
			return &Error{Op: "wait for seize", TID: t.pid, Err: errno}
		}
		if !ws.Stopped() {
			return t.unexpected("seize", ws)
		}
		if int(ws)>>16 == 0 {
			if ws.StopSignal() == unix.SIGCONT && continued {
				return nil
			}
			t.deferred = append(t.deferred, ws.StopSignal())
		} else if !continued {
			// The stop that SEIZE reports. Only now: a SIGCONT before it would end the
			// group stop unseen.
			continued = true
			if err := unix.Kill(t.pid, unix.SIGCONT); err != nil {
				return &Error{Op: "SIGCONT", TID: t.pid, Err: err}
			}
		}
		if errno := request(unix.PTRACE_CONT, t.pid, 0, 0); errno != 0 {
			return &Error{Op: "PTRACE_CONT", TID: t.pid, Err: errno}
		}
	}
}

// unexpected says that the program did something else than to reach the next step of its start.
func (t *Tracer) unexpected(step string, ws unix.WaitStatus) error {
	how := fmt.Errorf("wait status %#x", uint32(ws))
	if ws.Signaled() {
		how = fmt.Errorf("it was killed (%v)", ws.Signal())
	}
	return &Error{Op: "wait for " + step, TID: t.pid, Err: how}
}

// abandon ends a process whose start failed.
func (t *Tracer) abandon() {
	if !t.reaped {
		unix.Kill(t.pid, unix.SIGKILL)
	}
	for !t.reaped {
		var ws unix.WaitStatus
		if _, errno := wait4(t.pid, &ws, 0); errno != 0 || ws.Exited() || ws.Signaled() {
			break
		}
		request(unix.PTRACE_CONT, t.pid, 0, 0) // an exit stop
	}
	t.endNotifications()
}

func stack() []byte { return debug.Stack() }
