package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/runsbx/runsbx/cmd/runsbx/internal/signals"
	"github.com/runsbx/runsbx/sandbox"
)

// run runs the program args as the options say, and returns how runsbx is to end.
func run(o *options, args []string) result {
	var trace, report *os.File
	var err error
	if o.trace != "" {
		if trace, err = openOutput(o.trace); err != nil {
			return failed(fmt.Errorf("--trace: %w", err))
		}
	}
	if o.report != "" {
		if report, err = openOutput(o.report); err != nil {
			return failed(fmt.Errorf("--report: %w", err))
		}
		if trace != nil && sameFile(trace, report) {
			return failed(errors.New("--report: the same file as --trace"))
		}
	}
	cmd := command(o, args)
	if trace != nil {
		cmd.Trace = trace
	}
	x := &explainer{}
	cmd.Explain = x.explain
	res := supervise(cmd)
	x.close()
	if trace != nil {
		if err := trace.Close(); err != nil && res.status != statusFailed {
			res = failed(fmt.Errorf("--trace: %w", pathError(o.trace, err)))
		}
	}
	if report != nil {
		if err := writeReport(report, o.report, reportOf(cmd, res)); err != nil {
			err = fmt.Errorf("--report: %w", err)
			if res.err != nil {
				err = fmt.Errorf("%w; %w", res.err, err)
			}
			res = failed(err)
		}
	}
	return res
}

// command is the sandbox for the program args, with everything that a program inherits.
func command(o *options, args []string) *sandbox.Cmd {
	cmd := &sandbox.Cmd{Path: args[0], Args: args, Env: environ(), Policy: o.policy}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inherited(os.Stdin), inherited(os.Stdout), inherited(os.Stderr)
	if !o.policy.Unconfined {
		cmd.ExtraFiles = extraFiles(o.fds)
	}
	if o.logLevel != hclog.Off {
		cmd.Logger = hclog.New(&hclog.LoggerOptions{Name: "runsbx", Level: o.logLevel, Output: os.Stderr})
	}
	return cmd
}

// extraFiles returns descriptors 3 and up, of which the program is to have some under the same numbers.
func extraFiles(fds []int) []*os.File {
	var files []*os.File
	for _, fd := range fds {
		if fd <= 2 {
			continue
		}
		for len(files) <= fd-3 {
			files = append(files, nil)
		}
		files[fd-3] = os.NewFile(uintptr(fd), "/dev/fd/"+strconv.Itoa(fd))
	}
	return files
}

// inherited returns the standard stream, or a nil *os.File, which is a closed descriptor in the
// program, where it was closed in us.
func inherited(f *os.File) *os.File {
	if signals.ClosedAtEntry(int(f.Fd())) {
		return nil
	}
	return f
}

// supervise runs the program to its end.
func supervise(cmd *sandbox.Cmd) result {
	path, err := lookup(cmd.Path, searchPath())
	if err != nil {
		return resultOf(err)
	}
	cmd.Path = path
	undo := signals.Inherit()
	catcher, err := signals.Catch(caught()...)
	if err != nil {
		return failed(fmt.Errorf("signals: %w", err))
	}
	leader := leadsSession() && hasTerminal()
	err = cmd.Start()
	undo()
	if err == nil {
		if why := cmd.Report().Confinement.Withheld; why != "" {
			writeLine("the working directory is not given to the program: " + why + " (--rw . gives it)")
		}
		f := newForwarder(cmd, catcher, leader)
		done := make(chan struct{})
		go func() {
			defer close(done)
			err = cmd.Wait()
		}()
		f.run(done)
	} else if sig := endedBy(catcher); sig != 0 && !errors.As(err, new(*sandbox.StartError)) &&
		!errors.As(err, new(*sandbox.LimitError)) {
		// The program that was being started had the signal too.
		catcher.Release()
		return result{signal: sig}
	}
	// What arrives from here on ends us as it would end any program.
	catcher.Release()
	return resultOf(err)
}

// endedBy returns a caught signal that would have ended the program, or zero.
func endedBy(c *signals.Catcher) syscall.Signal {
	for {
		select {
		case e := <-c.Events():
			switch e.Sig {
			case syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGALRM:
				return e.Sig
			}
		default:
			return 0
		}
	}
}

// reportOf returns the program's report; there is one even when the program was not started.
func reportOf(cmd *sandbox.Cmd, res result) *sandbox.Report {
	if r := cmd.Report(); r != nil {
		return r
	}
	r := &sandbox.Report{
		Schema: sandbox.ReportSchema, Program: cmd.Args, Cause: sandbox.CauseRunsbx, ExitCode: -1,
		Calls: map[string]sandbox.CallCount{}, Refusals: []sandbox.RefusalRecord{}, Ends: []sandbox.RefusalRecord{},
		Drift: []string{}, WX: []sandbox.WXRecord{},
	}
	if res.err != nil {
		r.Failure = res.err.Error()
	}
	return r
}

// caught are the signals that a supervisor must not die or stop of while the program runs.
func caught() []syscall.Signal {
	sigs := []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPIPE,
		syscall.SIGALRM, syscall.SIGTERM, syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU,
		syscall.SIGVTALRM, syscall.SIGWINCH, syscall.SIGIO, syscall.SIGPWR,
	}
	// The first real-time signals are the C library's own.
	for sig := syscall.Signal(35); sig <= 64; sig++ {
		sigs = append(sigs, sig)
	}
	return sigs
}
