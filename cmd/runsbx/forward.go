package main

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/cmd/runsbx/internal/signals"
	"github.com/runsbx/runsbx/sandbox"
)

// forwarder makes signals that are meant for the program reach it, and makes us stop when it
// stops, so that the shell that started us sees what it would see of the program.
//
// The program shares our process group. What the terminal sends to the group has reached the
// program already; what a process sends to us alone is for the program, whom we stand for; what
// the tree itself sends to its group or its parent is not sent back into it.
type forwarder struct {
	cmd     *sandbox.Cmd
	catcher *signals.Catcher
	pid     int

	asked   time.Time // when the job was last asked to stop; zero when it was not since it went on
	stopped time.Time // when the program last stopped
	with    syscall.Signal
	resumed bool // we were stopped with the program and went on
	leader  bool // we lead a session with a terminal, as the program natively would
	later   []signals.Event
}

const (
	// stopWindow is how long a program that catches a stop signal may take before it stops.
	stopWindow = 30 * time.Second
	// stopSkew is how long before our copy of a stop signal the program's may have worked.
	stopSkew = time.Second
	// resumeGrace is what the program's own copy of SIGCONT gets to work.
	resumeGrace = 20 * time.Millisecond
)

// newForwarder returns the forwarder of a started program. leader says whether we led a session with
// a terminal before the start: the terminal may have gone away since.
func newForwarder(cmd *sandbox.Cmd, catcher *signals.Catcher, leader bool) *forwarder {
	return &forwarder{cmd: cmd, catcher: catcher, pid: cmd.Pid, leader: leader}
}

// leadsSession reports whether this process is the leader of its session.
func leadsSession() bool {
	sid, err := unix.Getsid(0)
	return err == nil && sid == os.Getpid()
}

// hasTerminal reports whether this process has a controlling terminal.
func hasTerminal() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

// endSession does what the kernel does when the leader of a session with a terminal ends
// (disassociate_ctty): what is left in the foreground is hung up on.
func (f *forwarder) endSession() {
	if f.leader {
		f.catcher.Ignore(syscall.SIGHUP) // ours, which must not end us once nothing is caught any more
		syscall.Kill(0, syscall.SIGHUP)
		syscall.Kill(0, syscall.SIGCONT)
	}
}

// run serves signals until done is closed. What is already waiting arrived while the program was
// being started; the terminal may have sent it before there was one, so it is sent on.
func (f *forwarder) run(done <-chan struct{}) {
	for waiting := true; waiting; {
		select {
		case e := <-f.catcher.Events():
			if e.Code == signals.CodeKernel || f.forProgram(e) {
				f.send(e)
			}
			f.note(e)
		default:
			waiting = false
		}
	}
	ended := f.cmd.FirstEnded()
	for {
		select {
		case <-done:
			return
		case <-ended:
			ended = nil
			f.endSession()
		case e := <-f.catcher.Events():
			f.serve(e)
			for len(f.later) > 0 {
				e, f.later = f.later[0], f.later[1:]
				f.serve(e)
			}
		case sig := <-f.cmd.Stops():
			f.stopped, f.with = time.Now(), sig
			f.follow()
		}
	}
}

func (f *forwarder) serve(e signals.Event) {
	if f.forProgram(e) {
		f.send(e)
	}
	f.note(e)
}

// isStop reports whether sig is a signal by which a terminal stops a job.
func isStop(sig syscall.Signal) bool {
	return sig == syscall.SIGTSTP || sig == syscall.SIGTTIN || sig == syscall.SIGTTOU
}

// note keeps the state of the job up to date.
func (f *forwarder) note(e signals.Event) {
	switch {
	case isStop(e.Sig):
		f.asked = time.Now()
		f.follow()
	case e.Sig == syscall.SIGCONT:
		f.asked, f.resumed = time.Time{}, false
	}
}

// forProgram reports whether e is to be sent on to the program.
func (f *forwarder) forProgram(e signals.Event) bool {
	if e.Code == signals.CodeKernel {
		switch e.Sig {
		case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU,
			syscall.SIGWINCH, syscall.SIGCONT:
			return false // the terminal sends these to the whole group
		case syscall.SIGHUP:
			// The group gets it, but a hangup concerns the session's leader first.
			return leadsSession()
		}
		return true // a timer or a limit of ours, which the program would have inherited
	}
	if e.PID == os.Getpid() || e.PID != 0 && tracedByUs(e.PID) {
		return false // SIGPIPE from a write of ours, or from the tree
	}
	if e.Sig == syscall.SIGCONT && f.resumed {
		return f.stillStopped()
	}
	return true
}

// stillStopped reports whether the program does not go on, now that we do. A shell continues the
// whole group; somebody else may have continued only us. When the program stops again, it went on
// before; and a stop signal cancels a SIGCONT that came before it.
func (f *forwarder) stillStopped() bool {
	for end := time.Now().Add(resumeGrace); time.Now().Before(end); {
		if !inStop(f.pid) {
			return false
		}
		select {
		case e := <-f.catcher.Events():
			f.later = append(f.later, e)
			if isStop(e.Sig) {
				return false
			}
		case sig := <-f.cmd.Stops():
			f.stopped, f.with = time.Now(), sig
			return false
		case <-time.After(time.Millisecond):
		}
	}
	return true
}

// send sends e to the program. When its first process has ended and only descendants are waited
// for, a signal to end ends those.
func (f *forwarder) send(e signals.Event) {
	if e.Code == signals.CodeQueue && f.cmd.Signal(syscall.Signal(0)) == nil {
		signals.Queue(f.pid, e.Sig, e.Value)
		return
	}
	if err := f.cmd.Signal(e.Sig); errors.Is(err, os.ErrProcessDone) && ends(e.Sig) {
		f.cmd.Kill()
	}
}

// ends reports whether sig is one that people end programs with.
func ends(sig syscall.Signal) bool {
	return sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGHUP || sig == syscall.SIGQUIT
}

// follow stops us when the job was asked to stop and the program has done so. A program that was
// stopped alone, by SIGSTOP, is not followed: its own tree may be about to continue it, and needs
// us for that.
func (f *forwarder) follow() {
	if f.asked.IsZero() || f.stopped.IsZero() {
		return
	}
	lag := f.stopped.Sub(f.asked)
	if lag > stopWindow || lag < -stopSkew || !inStop(f.pid) {
		return
	}
	f.asked, f.stopped, f.resumed = time.Time{}, time.Time{}, true
	f.catcher.Stop(f.with)
}

// inStop reports whether the process is stopped.
func inStop(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	i := bytes.LastIndexByte(b, ')')
	return i >= 0 && i+2 < len(b) && (b[i+2] == 't' || b[i+2] == 'T')
}

// tracedByUs reports whether the process belongs to the program's tree: its tracer is a thread of
// ours.
func tracedByUs(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(b, []byte("\nTracerPid:\t"))
	tracer, _, _ := bytes.Cut(rest, []byte("\n"))
	if len(tracer) == 0 || tracer[0] == '0' {
		return false
	}
	_, err = os.Stat("/proc/self/task/" + string(tracer))
	return err == nil
}
