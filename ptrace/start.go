package ptrace

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Config says what to run and who decides.
type Config struct {
	Path string   // the program's file
	Args []string // its arguments, the name first
	Env  []string // "key=value" each
	Dir  string   // its working directory; empty means ours

	// Files become descriptors 0, 1, 2, ...; a nil entry is closed in the program.
	Files []*os.File
	// SysProcAttr holds more attributes of the new process; Ptrace and Pdeathsig are ours.
	SysProcAttr *syscall.SysProcAttr

	Filter      []byte // the seccomp filter, an array of struct sock_filter
	NoRandomize bool   // run with ADDR_NO_RANDOMIZE
	ExitStops   bool   // report Handler.Exiting
	Handler     Handler
}

const addrNoRandomize = 0x0040000

// Start starts the program and returns when its first image is in place, the filter is on,
// Handler.Exec has been called for it, and it runs. No helper process is needed:
//
//	fork ── TRACEME ── exec ── stop: no_new_privs and the filter are injected ── detach, stopped
//	     ── SEIZE ── continue
//
// SEIZE is what job control needs: a thread attached by TRACEME cannot stay in a group stop.
// The error is an *ExecError when the program cannot be executed.
func Start(cfg Config) (*Tracer, error) {
	if cfg.Handler == nil {
		return nil, errors.New("ptrace: no Handler")
	}
	t := &Tracer{
		handler:     cfg.Handler,
		tasks:       make(map[int]*task),
		ended:       make(chan struct{}),
		notifsEnded: make(chan struct{}),
		first:       make(chan unix.WaitStatus, 1),
		stops:       make(chan syscall.Signal, 16),
		self:        os.Getpid(),
		kick:        -1,
	}
	started := make(chan error)
	go func() {
		// The thread is not unlocked: it ends with the goroutine, and all that it traces
		// with it.
		runtime.LockOSThread()
		defer close(t.ended)
		if err := t.start(&cfg); err != nil {
			started <- err
			return
		}
		started <- nil
		t.loop()
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Tracer) start(cfg *Config) (err error) {
	t.tid = unix.Gettid()
	if t.kick, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return &Error{Op: "eventfd", Err: err}
	}
	pid, err := t.fork(cfg)
	if err != nil {
		unix.Close(t.kick)
		return err
	}
	t.pid = pid
	defer func() {
		if err != nil {
			t.abandon(pid)
		}
	}()
	var ws unix.WaitStatus
	if _, err := wait4(pid, &ws, 0); err != nil {
		return &Error{Op: "wait for exec", TID: pid, Err: err}
	}
	if !ws.Stopped() || ws.StopSignal() != unix.SIGTRAP {
		return &Error{Op: "wait for exec", TID: pid, Err: fmt.Errorf("wait status %#x", uint32(ws))}
	}
	if t.listener, err = confine(pid, cfg.Filter); err != nil {
		return err
	}
	if err := t.seize(pid, cfg.ExitStops); err != nil {
		return err
	}
	t.tasks[pid] = &task{tid: pid, tgid: pid, swallow: unix.SIGCONT}
	t.handler.Exec(pid, pid)
	go t.notifications()
	return resume(pid, unix.PTRACE_CONT, 0)
}

// fork makes the process, which stops at its exec.
func (t *Tracer) fork(cfg *Config) (int, error) {
	attr := syscall.SysProcAttr{}
	if cfg.SysProcAttr != nil {
		attr = *cfg.SysProcAttr
	}
	attr.Ptrace = true
	attr.Pdeathsig = unix.SIGKILL // until EXITKILL is set
	files := make([]uintptr, len(cfg.Files))
	for i, f := range cfg.Files {
		files[i] = ^uintptr(0)
		if f != nil {
			files[i] = f.Fd()
		}
	}
	if cfg.NoRandomize {
		// The personality is the thread's own and is inherited by what it forks.
		old, _, errno := unix.Syscall(unix.SYS_PERSONALITY, 0xffffffff, 0, 0)
		if errno == 0 {
			_, _, errno = unix.Syscall(unix.SYS_PERSONALITY, old|addrNoRandomize, 0, 0)
		}
		if errno != 0 {
			return 0, &Error{Op: "personality(ADDR_NO_RANDOMIZE)", Err: errno}
		}
		defer unix.Syscall(unix.SYS_PERSONALITY, old, 0, 0)
	}
	pid, err := syscall.ForkExec(cfg.Path, cfg.Args, &syscall.ProcAttr{Dir: cfg.Dir, Env: cfg.Env, Files: files, Sys: &attr})
	runtime.KeepAlive(cfg.Files)
	if err != nil {
		return 0, &ExecError{Path: cfg.Path, Err: err}
	}
	return pid, nil
}

// seize changes from the TRACEME attachment to SEIZE. In between the process is in a group stop.
func (t *Tracer) seize(pid int, exitStops bool) error {
	if err := request("PTRACE_DETACH", unix.PTRACE_DETACH, pid, 0, uintptr(unix.SIGSTOP)); err != nil {
		return err
	}
	var ws unix.WaitStatus
	if _, err := wait4(pid, &ws, unix.WUNTRACED); err != nil {
		return &Error{Op: "wait for stop", TID: pid, Err: err}
	}
	if !ws.Stopped() {
		return &Error{Op: "wait for stop", TID: pid, Err: fmt.Errorf("wait status %#x", uint32(ws))}
	}
	opts := unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
		unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESECCOMP
	if exitStops {
		opts |= unix.PTRACE_O_TRACEEXIT
	}
	if err := request("PTRACE_SEIZE", unix.PTRACE_SEIZE, pid, 0, uintptr(opts)); err != nil {
		return err
	}
	if _, err := wait4(pid, &ws, 0); err != nil {
		return &Error{Op: "wait for seize", TID: pid, Err: err}
	}
	if !ws.Stopped() {
		return &Error{Op: "wait for seize", TID: pid, Err: fmt.Errorf("wait status %#x", uint32(ws))}
	}
	// The group stop ends; the loop swallows the signal.
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		return &Error{Op: "SIGCONT", TID: pid, Err: err}
	}
	return nil
}

// abandon ends a process whose start failed.
func (t *Tracer) abandon(pid int) {
	unix.Kill(pid, unix.SIGKILL)
	for {
		var ws unix.WaitStatus
		if _, err := wait4(pid, &ws, 0); err != nil || ws.Exited() || ws.Signaled() {
			break
		}
	}
	if t.listener > 0 {
		unix.Close(t.listener)
	}
	unix.Close(t.kick)
}
