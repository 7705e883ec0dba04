// Package sandbox runs a program with its address space serviced by runsbx's own memory manager.
// It is shaped like os/exec:
//
//	cmd := sandbox.Command("python3", "-c", "print(1)")
//	cmd.Stdout = os.Stdout
//	err := cmd.Run()
//
// Every call of the program's process tree that changes an address space is stopped, decided by
// package sentry/mm, and only then installed by the kernel. What happened is in Cmd.Report.
package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sandbox/policy"
)

// Cmd is a program to be run in a sandbox. Its zero value, with Path set, is usable. A Cmd is used
// once.
type Cmd struct {
	// Path is the program's file. If it is relative, it is evaluated relative to Dir.
	Path string
	// Args holds the arguments, with the program's name as Args[0]; empty means {Path}.
	Args []string
	// Env is the environment, "key=value" each; nil means this process's.
	Env []string
	// Dir is the working directory; empty means this process's.
	Dir string

	// Stdin, Stdout and Stderr are the program's standard streams. An *os.File is handed over
	// as it is; nil is os.DevNull; anything else is copied through a pipe.
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// ExtraFiles become descriptors 3 and up.
	ExtraFiles []*os.File
	// SysProcAttr holds the attributes of the new process. Its Ptrace and Pdeathsig fields
	// are the sandbox's own.
	SysProcAttr *syscall.SysProcAttr

	// Policy says what the sandbox does. The zero value confines the program.
	Policy policy.Policy
	// Trace receives every decision as a line of JSON; nil means none.
	Trace io.Writer
	// Logger receives what is worth telling an operator; nil means none.
	Logger hclog.Logger

	// Explain is called for each process that a refusal has ended, in order, by a goroutine of its
	// own; nil means that nobody wants to know. Wait returns after the last call.
	Explain func(End)

	// Cancel is called when the context of CommandContext is done; nil means that the whole
	// tree is killed.
	Cancel func() error
	// WaitDelay bounds the time that Wait waits for the copying of the standard streams after
	// the tree has ended; zero means no bound.
	WaitDelay time.Duration

	// Pid is the process id of the program's first process, once started.
	Pid int
	// Err is the error of looking the program up, if any; Start returns it.
	Err error

	ctx       context.Context
	started   bool
	waited    bool
	sup       *supervisor
	tracer    *ptrace.Tracer
	closers   []io.Closer    // our copies of the program's descriptors, closed once it has them
	copies    []func() error // copy between pipes and the caller's readers and writers
	copyErrs  chan error
	stdinEnd  io.Closer
	done      chan struct{}
	watchDone sync.WaitGroup
	noScopes  bool // as if Landlock had no scopes, in tests
	ctxErr    error
	confined  *confinement // nil: it is not
	timer     *time.Timer  // of Policy.Timeout
}

// Command returns the Cmd that runs the named program with the given arguments. A name without a
// slash is looked up in PATH; when that fails, Cmd.Err says why.
func Command(name string, arg ...string) *Cmd {
	c := &Cmd{Path: name, Args: append([]string{name}, arg...)}
	if filepath.Base(name) == name {
		path, err := exec.LookPath(name)
		if path != "" {
			c.Path = path
		}
		if err != nil {
			c.Err = err
		}
	}
	return c
}

// CommandContext is Command with a context: when it is done before the tree has ended, Cancel is
// called, or the whole tree is killed.
func CommandContext(ctx context.Context, name string, arg ...string) *Cmd {
	if ctx == nil {
		panic("sandbox: nil Context")
	}
	c := Command(name, arg...)
	c.ctx = ctx
	return c
}

// Start starts the program and returns when its first image is in place. Its errors are
// *StartError when the program cannot be executed, *policy.LimitError when a limit cannot be had,
// *LimitError when the program cannot start under its limits, and *Error when the sandbox cannot be
// made.
func (c *Cmd) Start() error {
	if c.started {
		return &Error{Op: "start", Err: errors.New("already started")}
	}
	c.started = true
	if c.Path == "" && c.Err == nil {
		c.Err = exec.ErrNotFound
	}
	if c.Err != nil {
		return &StartError{Path: c.Path, Err: c.Err}
	}
	if c.ctx != nil && c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	if err := c.Policy.Check(); errors.As(err, new(*policy.LimitError)) {
		return err
	} else if err != nil {
		return &Error{Op: "policy", Err: err}
	}
	profile, err := loadProfile(&c.Policy, c.Logger)
	if err != nil {
		return err
	}
	files, err := c.files()
	if err != nil {
		c.closeAll()
		return &Error{Op: "standard streams", Err: err}
	}
	if c.confined, err = c.confine(files); err != nil {
		c.closeAll()
		return &Error{Op: "confinement", Err: err}
	}
	sup, err := newSupervisor(c)
	if err != nil {
		return c.notStarted(err)
	}
	rules := filterFor(&c.Policy)
	// A profile may refuse what another filter is loaded with later.
	if sup.k.Counts() && (profile != nil || inheritsMemory(sup.machine, files)) {
		sup.watching.inherit = true
		rules.Rules = append(rules.Rules, growthFilter().Rules...)
	}
	rules.Rules = append(rules.Rules, sup.reach.rules(files)...)
	filter, err := rules.Export()
	if err != nil {
		return c.notStarted(&Error{Op: "seccomp filter", Err: err})
	}
	sup.confined = c.confined
	if c.Policy.WX != policy.WXAllow {
		if sup.machine.code, err = newCode(c, files); err != nil {
			return c.notStarted(&Error{Op: "W^X", Err: err})
		}
	}
	if c.Explain != nil {
		sup.notices.start(c.Explain)
	}
	set, clear := personalityFor(&c.Policy)
	var image needs
	loaded := func(pid int) error {
		image = measure(pid)
		return image.tooMany(c)
	}
	if len(c.Policy.Limits) == 0 {
		loaded = nil
	}
	cfg := ptrace.Config{
		Path: c.Path, Args: c.argv(), Env: c.environ(), Dir: c.Dir, Files: files,
		SysProcAttr: c.SysProcAttr,
		Filter:      filter,
		Restart:     append(neverInterrupted(), sup.reach.notified()...),
		ExitStops:   c.Policy.Verify != policy.VerifyOff,
		Handler:     sup,

		SetPersonality: set, ClearPersonality: clear,
		Rlimits: rlimitsOf(&c.Policy), Loaded: loaded,
	}
	c.confined.configure(&cfg)
	if profile != nil {
		cfg.Filters = append(cfg.Filters, profile) // the last: it may refuse seccomp(2)
	}
	tracer := ptrace.New(cfg)
	sup.engine = tracer
	err = tracer.Start()
	c.confined.started()
	sup.confinedBy(c.confined)
	if err != nil {
		err = c.notStarted(err)
		sup.notices.close()
		var re *ptrace.RlimitError
		if errors.As(err, &re) {
			err = image.limitError(c, re)
		}
		var le *LimitError
		if errors.As(err, &le) {
			sup.cannotStart(le)
			c.sup = sup
			return le
		}
		if errors.As(err, new(*StartError)) {
			return err
		}
		var ee *ptrace.ExecError
		if errors.As(err, &ee) {
			return &StartError{Path: c.Path, Err: ee.Err}
		}
		if own := sup.failure(); own != nil {
			return own
		}
		if errors.Is(err, ptrace.ErrPersonality) {
			return &Error{Op: "--aslr or --layout", Err: err}
		}
		return &Error{Op: "start", Err: err}
	}
	c.sup, c.tracer, c.Pid = sup, tracer, tracer.Pid()
	closeEach(c.closers)
	c.closers = nil
	c.copyErrs = make(chan error, len(c.copies))
	for _, f := range c.copies {
		go func() { c.copyErrs <- f() }()
	}
	c.done = make(chan struct{})
	if after := c.Policy.Timeout; after > 0 {
		c.timer = time.AfterFunc(after, func() {
			sup.timeUp()
			tracer.Kill()
		})
	}
	if c.ctx != nil && c.ctx.Done() != nil {
		c.watchDone.Add(1)
		go c.watchContext()
	}
	return nil
}

func (c *Cmd) watchContext() {
	defer c.watchDone.Done()
	select {
	case <-c.done:
	case <-c.ctx.Done():
		c.ctxErr = c.ctx.Err()
		if c.Cancel == nil || c.Cancel() != nil {
			c.tracer.Kill()
		}
	}
}

// Wait waits until every process of the tree has ended and the standard streams are copied.
// The error is nil when the first process exited with status 0, an *ExitError when it ended
// otherwise, a *TimeoutError when the tree was killed since its time was up, and an *Error when the sandbox
// itself failed, in which case the tree was killed.
func (c *Cmd) Wait() error {
	if c.tracer == nil {
		return &Error{Op: "wait", Err: errors.New("not started")}
	}
	if c.waited {
		return &Error{Op: "wait", Err: errors.New("already waited for")}
	}
	c.waited = true
	status, err := c.tracer.Wait()
	if c.timer != nil {
		c.timer.Stop()
	}
	close(c.done)
	c.watchDone.Wait()
	copyErr := c.awaitCopies()
	c.sup.notices.close()
	if endErr := c.confined.end(); err == nil && endErr != nil {
		err = fmt.Errorf("temporary directory: %w", endErr)
	}
	c.sup.finish(status, err)
	if own := c.sup.failure(); own != nil {
		return own
	}
	if c.sup.timedOut() {
		return &TimeoutError{After: c.Policy.Timeout}
	}
	if c.ctxErr != nil {
		return c.ctxErr
	}
	if !(status.Exited() && status.ExitStatus() == 0) {
		return &ExitError{Status: syscall.WaitStatus(status), Report: c.Report()}
	}
	return copyErr
}

// awaitCopies waits for the copying of the standard streams, for WaitDelay at most if that is set.
func (c *Cmd) awaitCopies() error {
	var timeout <-chan time.Time
	if c.WaitDelay > 0 {
		timer := time.NewTimer(c.WaitDelay)
		defer timer.Stop()
		timeout = timer.C
	}
	if c.stdinEnd != nil {
		// Nobody reads standard input any more: a copy blocked in writing is released.
		c.stdinEnd.Close()
	}
	var first error
	for range c.copies {
		select {
		case err := <-c.copyErrs:
			if err != nil && first == nil {
				first = err
			}
		case <-timeout:
			return exec.ErrWaitDelay
		}
	}
	return first
}

// Run starts the program and waits for the tree to end.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns its standard output.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, errors.New("sandbox: Stdout already set")
	}
	var b bytes.Buffer
	c.Stdout = &b
	err := c.Run()
	return b.Bytes(), err
}

// CombinedOutput runs the program and returns its standard output and error together.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, errors.New("sandbox: Stdout or Stderr already set")
	}
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	err := c.Run()
	return b.Bytes(), err
}

// Kill kills the whole tree.
func (c *Cmd) Kill() {
	if c.tracer != nil {
		c.tracer.Kill()
	}
}

// Signal sends sig to the program's first process.
func (c *Cmd) Signal(sig os.Signal) error {
	s, ok := sig.(syscall.Signal)
	if !ok {
		return errors.New("sandbox: unsupported signal type")
	}
	if c.tracer == nil {
		return errors.New("sandbox: not started")
	}
	return c.tracer.Signal(unix.Signal(s))
}

// FirstEnded delivers the wait status of the program's first process as soon as it has ended, which
// may be before its descendants, and with them Wait, have; nil before Start.
func (c *Cmd) FirstEnded() <-chan unix.WaitStatus {
	if c.tracer == nil {
		return nil
	}
	return c.tracer.First()
}

// Stops delivers the signal of each group stop (job control) of the program's first process, for a
// caller that stops along with it; nil before Start. When nobody receives, the oldest are kept.
func (c *Cmd) Stops() <-chan syscall.Signal {
	if c.tracer == nil {
		return nil
	}
	return c.tracer.Stops()
}

// Report says what happened in the sandbox. It is complete after Wait; nil before Start.
func (c *Cmd) Report() *Report {
	if c.sup == nil {
		return nil
	}
	return c.sup.reportCopy()
}

// String returns the program and its arguments, for messages.
func (c *Cmd) String() string { return strings.Join(c.argv(), " ") }

// notStarted gives up what was made for a program that cannot be started, because of err.
func (c *Cmd) notStarted(err error) error {
	c.closeAll()
	if endErr := c.confined.end(); endErr != nil {
		err = fmt.Errorf("%w; %w", err, endErr)
	}
	return err
}

// programPath returns the program's path as we see it.
func (c *Cmd) programPath() string {
	if filepath.IsAbs(c.Path) {
		return c.Path
	}
	return filepath.Join(c.Dir, c.Path)
}

func (c *Cmd) argv() []string {
	if len(c.Args) == 0 {
		return []string{c.Path}
	}
	return c.Args
}

func (c *Cmd) environ() []string {
	if c.Env == nil {
		return os.Environ()
	}
	return c.Env
}
