package ptrace

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// Rlimit is a resource limit of the program's; see setrlimit(2).
type Rlimit struct {
	Resource int // RLIMIT_...
	Cur, Max uint64
	// AtMost has the process keep what it has where that is less.
	AtMost bool
}

// shapes reports whether execve lays out an image by the limit, or charges it.
func (l *Rlimit) shapes() bool {
	switch l.Resource {
	case unix.RLIMIT_CORE, unix.RLIMIT_FSIZE, unix.RLIMIT_NOFILE:
		return false
	}
	return true
}

// RlimitError says that the program can be executed without Config.Rlimits, but not under them.
type RlimitError struct {
	Path string
	Err  error // the errno of execve(2)
	// Status is how the kernel ended the program, where execve had come too far to return.
	// Otherwise it is no signal's.
	Status unix.WaitStatus
}

// Error returns one line.
func (e *RlimitError) Error() string {
	if e.Status.Signaled() {
		return fmt.Sprintf("%s: %v, and ended by %v, under its resource limits", e.Path, e.Err, e.Status.Signal())
	}
	return fmt.Sprintf("%s: %v, under its resource limits", e.Path, e.Err)
}

// Unwrap returns the errno.
func (e *RlimitError) Unwrap() error { return e.Err }

// relimit has the stopped process set the limits. If its image depends on them, it executes the program
// again, which lays its new image out by them. Until then nothing but the kernel has used the first image.
//
// They can be set nowhere else. Before the fork they would be ours, and a Go program does not live
// with them; between fork and exec nothing of ours runs that could set them; and when they are set
// after the exec, mmap_base and the arguments have been placed by other ones. So that the process
// needs no memory of ours under them, the filter is in place before.
func (t *Tracer) relimit(cfg *Config) error {
	in, err := t.newInjector()
	if err != nil {
		return err
	}
	var shaping []Rlimit
	for _, l := range cfg.Rlimits {
		if l.shapes() {
			shaping = append(shaping, l)
		} else if err := setRlimit(t.pid, l); err != nil {
			return err
		}
	}
	if len(shaping) == 0 {
		return nil
	}
	env := cfg.environ()
	size := (blockSize(cfg.Path, cfg.Args, env) + 4095) &^ 4095
	// The image that it is in goes with all its memory: nothing is given back.
	at, err := in.call("mmap", unix.SYS_MMAP, 0, uint64(size), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uint64(0), 0)
	if err != nil {
		return err
	}
	for _, l := range shaping {
		if err := in.setRlimit(at, l); err != nil {
			return err
		}
	}
	block, path, argv, envp := execBlock(at, cfg.Path, cfg.Args, env)
	if err := WriteMemory(t.pid, at, block); err != nil {
		return err
	}
	const restartNoIntr = -513 // a signal came while it waited for a lock, and is kept for later
	ret := int64(restartNoIntr)
	for err == nil && ret == restartNoIntr {
		ret, err = in.run("execve", unix.SYS_EXECVE, path, argv, envp)
	}
	if err != nil || ret == 0 {
		return err
	}
	refused := &RlimitError{Path: cfg.Path, Err: unix.Errno(-ret)}
	there := make([]byte, len(block))
	if ReadMemory(t.pid, at, there) == nil && bytes.Equal(there, block) {
		return refused // the image that called it is still there
	}
	refused.Status, err = t.awaitEnd()
	if err != nil {
		return err
	}
	return refused
}

// setRlimit sets one limit of a process, or lowers it.
func setRlimit(pid int, l Rlimit) error {
	op := fmt.Sprintf("prlimit64(%d)", l.Resource)
	to := unix.Rlimit{Cur: l.Cur, Max: l.Max}
	if l.AtMost {
		var has unix.Rlimit
		if err := unix.Prlimit(pid, l.Resource, nil, &has); err != nil {
			return &Error{Op: op, TID: pid, Err: err}
		}
		to.Cur, to.Max = min(to.Cur, has.Cur), min(to.Max, has.Max)
	}
	if err := unix.Prlimit(pid, l.Resource, &to, nil); err != nil {
		return &Error{Op: op, TID: pid, Err: err}
	}
	return nil
}

// setRlimit has the process set one of its limits, using the memory at addr. Those of one with other
// credentials than ours, only we may raise, if anybody.
func (in *injector) setRlimit(addr uint64, l Rlimit) error {
	b := binary.NativeEndian.AppendUint64(nil, l.Cur)
	b = binary.NativeEndian.AppendUint64(b, l.Max)
	if err := WriteMemory(in.pid, addr, b); err != nil {
		return err
	}
	_, err := in.call(fmt.Sprintf("prlimit64(%d)", l.Resource), unix.SYS_PRLIMIT64, 0, uint64(l.Resource), addr, 0)
	if err != nil && setRlimit(in.pid, l) == nil {
		return nil
	}
	return err
}

// awaitEnd lets the kernel end the process by the signal that it has sent it, and returns how.
func (t *Tracer) awaitEnd() (unix.WaitStatus, error) {
	for sig := unix.Signal(0); ; {
		if errno := request(unix.PTRACE_CONT, t.pid, 0, uintptr(sig)); errno != 0 && errno != unix.ESRCH {
			return 0, &Error{Op: "PTRACE_CONT", TID: t.pid, Err: errno}
		}
		var ws unix.WaitStatus
		if _, errno := wait4(t.pid, &ws, 0); errno != 0 {
			return 0, &Error{Op: "wait for its end", TID: t.pid, Err: errno}
		}
		if !ws.Stopped() {
			t.reaped = true
			return ws, nil
		}
		if sig = 0; int(ws)>>16 == 0 && ws.StopSignal() != syscallStop {
			sig = ws.StopSignal()
		}
	}
}

// blockSize is the size of what execBlock makes.
func blockSize(path string, args, env []string) int {
	n := len(path) + 1 + 8*(len(args)+1+len(env)+1)
	for _, list := range [][]string{args, env} {
		for _, s := range list {
			n += len(s) + 1
		}
	}
	return n
}

// execBlock returns the arguments of an execve as they are in memory at addr, and where each of them
// begins.
func execBlock(addr uint64, path string, args, env []string) (block []byte, pathAt, argvAt, envpAt uint64) {
	block = make([]byte, 0, blockSize(path, args, env))
	argvAt = addr
	envpAt = argvAt + uint64(8*(len(args)+1))
	next := envpAt + uint64(8*(len(env)+1))
	var text []byte
	for _, list := range [][]string{args, env} {
		for _, s := range list {
			block = binary.NativeEndian.AppendUint64(block, next+uint64(len(text)))
			text = append(append(text, s...), 0)
		}
		block = binary.NativeEndian.AppendUint64(block, 0)
	}
	pathAt = next + uint64(len(text))
	text = append(append(text, path...), 0)
	return append(block, text...), pathAt, argvAt, envpAt
}
