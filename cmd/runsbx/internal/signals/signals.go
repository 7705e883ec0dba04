// Package signals does for the command line what os/signal cannot: it knows what was ignored when
// the process started, which Go's runtime overwrites; who sent a signal; and how to take the
// default action of one.
//
// It uses cgo, because it must look before Go's runtime starts.
package signals

// #include "entry.h"
import "C"

import (
	"encoding/binary"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// last is the largest signal number.
const last = 64

// Codes of an Event.
const (
	CodeUser   = 0    // kill(2)
	CodeKernel = 0x80 // the kernel itself, such as a terminal
	CodeQueue  = -1   // sigqueue(3)
)

// Event is a caught signal.
type Event struct {
	Sig   syscall.Signal
	Code  int
	PID   int    // the sender, where a process sent it
	Value uint64 // with CodeQueue
}

// IgnoredAtEntry reports whether sig was ignored when the process started.
func IgnoredAtEntry(sig syscall.Signal) bool { return C.runsbx_ignored(C.int(sig)) != 0 }

// ClosedAtEntry reports whether standard stream fd was closed when the process started. Go's
// runtime opens /dev/null in its place.
func ClosedAtEntry(fd int) bool { return C.runsbx_closed(C.int(fd)) != 0 }

// Inherit makes the processes that are started from now on ignore what was ignored when this one
// started; so does this process itself. The function that it returns is to be called when the
// process has been started: it ends the ignoring of what Go cannot work without.
func Inherit() (done func()) {
	var needed []os.Signal
	for sig := syscall.Signal(1); sig <= last; sig++ {
		if !IgnoredAtEntry(sig) {
			continue
		}
		switch sig {
		case unix.SIGCHLD, unix.SIGURG: // wait4(2) and preemption
			needed = append(needed, sig)
		}
		signal.Ignore(sig)
	}
	return func() {
		if len(needed) > 0 {
			signal.Notify(make(chan os.Signal, 1), needed...)
		}
	}
}

// Catcher delivers signals as events.
type Catcher struct {
	events chan Event
	sigs   []syscall.Signal
	w      int
	once   sync.Once
}

// Catch catches the signals that were not ignored when the process started. There can be one
// Catcher at a time.
func Catch(sigs ...syscall.Signal) (*Catcher, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(p[1], true); err != nil {
		return nil, err
	}
	c := &Catcher{events: make(chan Event, 64), w: p[1]}
	C.runsbx_pipe(C.int(p[1]))
	for _, sig := range sigs {
		if IgnoredAtEntry(sig) {
			continue
		}
		if sig == unix.SIGPIPE {
			// Without this, Go's runtime makes EPIPE on standard output or error fatal.
			signal.Notify(make(chan os.Signal, 1), sig)
		}
		if errno := C.runsbx_catch(C.int(sig)); errno != 0 {
			c.Release()
			return nil, syscall.Errno(errno)
		}
		c.sigs = append(c.sigs, sig)
	}
	unblocked := make(chan struct{})
	go c.read(p[0], unblocked)
	<-unblocked
	return c, nil
}

// read turns what the handler writes into events, on a thread that blocks none of the signals,
// whatever this process was started with.
func (c *Catcher) read(fd int, unblocked chan<- struct{}) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	for _, sig := range c.sigs {
		C.runsbx_unblock(C.int(sig))
	}
	close(unblocked)
	defer close(c.events)
	defer unix.Close(fd)
	buf := make([]byte, C.sizeof_struct_runsbx_record)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != len(buf) {
			return
		}
		c.events <- Event{
			Sig:   syscall.Signal(int32(binary.NativeEndian.Uint32(buf))),
			Code:  int(int32(binary.NativeEndian.Uint32(buf[4:]))),
			PID:   int(int32(binary.NativeEndian.Uint32(buf[8:]))),
			Value: binary.NativeEndian.Uint64(buf[16:]),
		}
	}
}

// Events delivers the caught signals. It is closed some time after Release.
func (c *Catcher) Events() <-chan Event { return c.events }

// Ignore ignores sig from now on, also after Release. It is called from the goroutine that calls
// Release.
func (c *Catcher) Ignore(sig syscall.Signal) {
	c.sigs = slices.DeleteFunc(c.sigs, func(s syscall.Signal) bool { return s == sig })
	signal.Ignore(sig)
}

// Release gives the signals their default action again.
func (c *Catcher) Release() {
	c.once.Do(func() {
		for _, sig := range c.sigs {
			C.runsbx_default(C.int(sig))
		}
		C.runsbx_pipe(-1)
		unix.Close(c.w)
		go func() {
			for range c.events {
			}
		}()
	})
}

// Stop takes the default action of a stop signal: it returns when the process has been
// continued, or at once where the kernel does not stop it (an orphaned process group).
func (c *Catcher) Stop(sig syscall.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if sig != unix.SIGSTOP {
		C.runsbx_default(C.int(sig))
		defer C.runsbx_catch(C.int(sig))
		C.runsbx_unblock(C.int(sig))
	}
	unix.Tgkill(unix.Getpid(), unix.Gettid(), sig)
}

// Die ends the process by sig, without a core dump. It returns when that cannot be, for instance
// when the process is the first of its PID namespace.
func Die(sig syscall.Signal) {
	if sig <= 0 || sig > last {
		return
	}
	// RLIMIT_CORE does not bind a core_pattern that is a pipe.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	var core unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_CORE, &core) == nil {
		core.Cur = 0
		unix.Setrlimit(unix.RLIMIT_CORE, &core)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.runsbx_default(C.int(sig))
	C.runsbx_unblock(C.int(sig))
	unix.Tgkill(unix.Getpid(), unix.Gettid(), sig)
}

// Queue sends a signal with a value, as sigqueue(3).
func Queue(pid int, sig syscall.Signal, value uint64) error {
	// struct siginfo: signo, errno, code, padding, pid, uid, value
	var si [128]byte
	binary.NativeEndian.PutUint32(si[0:], uint32(sig))
	binary.NativeEndian.PutUint32(si[8:], ^uint32(0)) // CodeQueue
	binary.NativeEndian.PutUint32(si[16:], uint32(unix.Getpid()))
	binary.NativeEndian.PutUint32(si[20:], uint32(unix.Getuid()))
	binary.NativeEndian.PutUint64(si[24:], value)
	_, _, errno := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(sig), uintptr(unsafe.Pointer(&si)))
	if errno != 0 {
		return errno
	}
	return nil
}
