package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"github.com/runsbx/runsbx/cmd/runsbx/internal/signals"
	"github.com/runsbx/runsbx/sandbox"
)

// Exit statuses of runsbx's own.
const (
	statusTimeout   = 124 // the program was killed since its time was up, as timeout(1) has it
	statusFailed    = 125 // runsbx itself failed, or was used wrongly
	statusCannotRun = 126 // the program cannot be executed
	statusNotFound  = 127 // there is no such program
)

// result is how runsbx ends.
type result struct {
	status int
	signal syscall.Signal // end by this signal
	err    error          // printed
}

// exit ends the process.
func (r result) exit() {
	if r.err != nil {
		fmt.Fprintf(os.Stderr, "runsbx: %v\n", r.err)
	}
	if r.signal != 0 {
		signals.Die(r.signal)
		os.Exit(128 + int(r.signal))
	}
	os.Exit(r.status)
}

func failed(err error) result { return result{status: statusFailed, err: err} }

// resultOf turns the error of a sandbox's Start or Wait into how runsbx ends.
func resultOf(err error) result {
	var start *sandbox.StartError
	var exit *sandbox.ExitError
	var limit *sandbox.LimitError
	switch {
	case err == nil:
		return result{}
	case errors.As(err, &exit):
		if exit.Status.Signaled() {
			return result{signal: exit.Status.Signal()}
		}
		return result{status: exit.Status.ExitStatus()}
	case errors.As(err, new(*sandbox.TimeoutError)):
		return result{status: statusTimeout, err: err}
	case errors.As(err, &start):
		return startResult(start)
	case errors.As(err, &limit):
		if limit.Status.Signaled() {
			return result{signal: limit.Status.Signal(), err: limit}
		}
		return result{status: statusCannotRun, err: limit}
	}
	return failed(err)
}

// startResult words why the program could not be executed.
func startResult(e *sandbox.StartError) result {
	info, statErr := os.Stat(e.Path)
	switch {
	case errors.Is(e.Err, exec.ErrNotFound):
		return result{status: statusNotFound, err: fmt.Errorf("%q: program not found", e.Path)}
	case errors.Is(e.Err, fs.ErrNotExist) && statErr == nil:
		return result{status: statusCannotRun, err: fmt.Errorf("%q: its interpreter is missing", e.Path)}
	case errors.Is(e.Err, fs.ErrNotExist):
		return result{status: statusNotFound, err: fmt.Errorf("%q: %w", e.Path, syscall.ENOENT)}
	case statErr == nil && info.IsDir():
		return result{status: statusCannotRun, err: fmt.Errorf("%q: %w", e.Path, syscall.EISDIR)}
	}
	return result{status: statusCannotRun, err: fmt.Errorf("%q: %w", e.Path, e.Err)}
}
