package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal with a program on it.
type terminal struct {
	t      *testing.T
	how    string
	master *os.File
	cmd    *exec.Cmd
	tag    string

	mu   sync.Mutex
	text string // all that was printed and not yet expected
	all  string
	eof  bool
}

// openTerminal starts the program as the leader of a session on a new pseudo-terminal.
func openTerminal(t *testing.T, how string, argv ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	dir := base(t)
	x := &terminal{t: t, how: how, master: master, tag: newTag()}
	var n int
	x.control(func(fd int) {
		if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	x.resize(33, 111)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	x.cmd = exec.Command(argv[0], argv[1:]...)
	x.cmd.Path = lookTool(argv[0])
	x.cmd.Dir = dir
	x.cmd.Env = append(program{}.environment(dir), x.tag, "PS1=READY> ", "TERM=dumb", "HISTFILE=")
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = slave, slave, slave
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		killTagged(x.tag)
		x.cmd.Wait()
		master.Close()
	})
	go x.read()
	return x
}

// control makes a call on the terminal. (File.Fd would make it blocking, and closing it with a
// reader waiting impossible.)
func (x *terminal) control(call func(fd int)) {
	x.t.Helper()
	c, err := x.master.SyscallConn()
	if err == nil {
		err = c.Control(func(fd uintptr) { call(int(fd)) })
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) resize(rows, cols uint16) {
	x.control(func(fd int) {
		unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
	})
}

func (x *terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := x.master.Read(buf)
		x.mu.Lock()
		x.text += string(buf[:n])
		x.all += string(buf[:n])
		x.eof = x.eof || err != nil
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// wait waits for something that surely comes; the guard only keeps a broken test from hanging.
func (x *terminal) wait(what string, done func() bool) {
	x.t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			x.mu.Lock()
			defer x.mu.Unlock()
			ps, _ := exec.Command("ps", "-o", "pid,ppid,pgid,tpgid,stat,wchan:16,args", "-p", pidList(append(tagged(x.tag), 1))).CombinedOutput()
			x.t.Fatalf("%s: waited in vain for %s; the session so far:\n%s\n%s", x.how, what, x.all, ps)
		}
	}
}

func (x *terminal) send(s string) {
	x.t.Helper()
	if _, err := x.master.WriteString(s); err != nil {
		x.t.Fatalf("%s: %v", x.how, err)
	}
}

// expect waits for the text and forgets everything up to it.
func (x *terminal) expect(s string) {
	x.t.Helper()
	x.wait(fmt.Sprintf("%q", s), func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		i := strings.Index(x.text, s)
		if i < 0 {
			return false
		}
		x.text = x.text[i+len(s):]
		return true
	})
}

// run sends a command and waits for its output, which the command's own echo does not contain.
func (x *terminal) run(command, output string) {
	x.t.Helper()
	x.send(command + "\r")
	x.expect(output)
	x.expect("READY> ")
}

func (x *terminal) foreground() (pgid int) {
	x.control(func(fd int) { pgid, _ = unix.IoctlGetInt(fd, unix.TIOCGPGRP) })
	return pgid
}

// startForeground sends a command and waits until its job has the terminal and its first process
// has become another program: before that, a shell's child still has the shell's signal handlers,
// and Ctrl-C can get lost, natively too.
func (x *terminal) startForeground(command string) {
	x.t.Helper()
	shell := x.foreground()
	before := commandLine(shell)
	x.send(command + "\r")
	x.wait("the job to be in the foreground", func() bool {
		job := x.foreground()
		return job != shell && commandLine(job) != before
	})
}

func commandLine(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return string(b)
}

// end waits for the end of the session and returns how its leader ended.
func (x *terminal) end() string {
	x.t.Helper()
	done := make(chan struct{})
	go func() { x.cmd.Wait(); close(done) }()
	x.wait("the end of the session", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	return statusOf(x.cmd.ProcessState.Sys().(syscall.WaitStatus))
}

// TestTerminalInside: an interactive shell in the sandbox, with everything that a terminal's user
// does: Ctrl-C, Ctrl-Z, jobs, fg, bg, Ctrl-D, Ctrl-\. The same natively.
func TestTerminalInside(t *testing.T) {
	t.Parallel()
	shell := []string{"bash", "--norc", "--noprofile", "--noediting", "-i"}
	for how, argv := range map[string][]string{
		"natively":  shell,
		"sandboxed": append([]string{runsbx, "run", "--unconfined", "--verify", "every", "--"}, shell...),
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			x := openTerminal(t, how, argv...)
			x.expect("READY> ")
			x.run(`test -t 0 && test -t 1 && echo is a ter""minal`, "is a terminal")
			x.run(`stty size`, "33 111")
			// Ctrl-C ends the job, not the shell.
			x.startForeground("sleep 1000")
			x.send("\x03")
			x.expect("READY> ")
			x.run(`echo "status "$?`, "status 130")
			// Ctrl-Z stops it, fg continues it, Ctrl-C ends it.
			x.startForeground("sleep 1001")
			x.send("\x1a")
			x.expect("Stopped")
			x.expect("READY> ")
			x.run("jobs", "Stopped                 sleep 1001")
			x.startForeground("fg")
			x.send("\x1a")
			x.expect("Stopped")
			x.expect("READY> ")
			x.run("bg", "sleep 1001 &")
			x.run("jobs", "Running                 sleep 1001")
			x.startForeground("fg")
			x.send("\x03")
			x.expect("READY> ")
			x.run(`echo "status "$?`, "status 130")
			// A pipeline is one job.
			x.startForeground("sleep 1002 | cat | cat")
			x.send("\x1a")
			x.expect("Stopped")
			x.expect("READY> ")
			x.run("kill %1; wait %1; echo st\"\"atus $?", "status ")
			// A background job that reads from the terminal stops.
			x.run(`cat & while ! jobs -s | grep -q cat; do :; done; echo it st""opped`, "it stopped")
			x.startForeground("fg")
			x.send("typed\r")
			x.expect("typed\r\ntyped")
			x.send("\x04")
			x.expect("READY> ")
			// Ctrl-C in a shell's own loop, and with a trap.
			x.send("while :; do :; done\r")
			x.send("\x03")
			x.expect("READY> ")
			x.run(`trap 'echo tra""pped' INT; kill -INT $$`, "trapped")
			x.run(`trap - INT`, "")
			// Ctrl-\ quits.
			x.startForeground("sleep 1003")
			x.send("\x1c")
			x.expect("READY> ")
			x.run(`echo "status "$?`, "status 131")
			x.send("exit 12\r")
			if status := x.end(); status != "exit 12" {
				t.Errorf("the shell ended with %s", status)
			}
		})
	}
}

// TestTerminalOutside: runsbx as a job of an interactive shell, natively the program itself.
func TestTerminalOutside(t *testing.T) {
	t.Parallel()
	for how, prefix := range map[string]string{
		"natively":  "",
		"sandboxed": runsbx + " run --unconfined --verify every -- ",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			x := openTerminal(t, how, "bash", "--norc", "--noprofile", "--noediting", "-i")
			x.expect("READY> ")
			// sleep is inside: it is the child of a shell, in the sandbox or not.
			state := func() string {
				for _, pid := range tagged(x.tag) {
					if commandLine(pid) == "sleep\x001000\x00" {
						stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
						_, state, _ := strings.Cut(string(stat), ") ")
						return strings.ToUpper(state[:min(1, len(state))])
					}
				}
				return ""
			}
			stopped := func() bool { return state() == "T" }
			running := func() bool { return state() == "S" }
			// Ctrl-C.
			x.startForeground(prefix + `sh -c 'echo st""arted; sleep 1000; :'`)
			x.expect("started")
			x.wait("sleep", running) // before it is execed, Ctrl-C can get lost in the shell
			x.send("\x03")
			x.expect("READY> ")
			x.run(`echo "status "$?`, "status 130")
			// Ctrl-Z, fg, Ctrl-Z, bg, fg, Ctrl-C.
			x.startForeground(prefix + `sh -c 'echo st""arted; sleep 1000; :'`)
			x.expect("started")
			x.wait("sleep", running)
			x.send("\x1a")
			x.expect("Stopped")
			x.expect("READY> ")
			x.wait("the inner program to be stopped", stopped)
			x.startForeground("fg")
			x.wait("the inner program to go on", running)
			x.send("\x1a")
			x.expect("Stopped")
			x.expect("READY> ")
			x.wait("the inner program to be stopped", stopped)
			x.run("bg", "&")
			x.wait("the inner program to go on", running)
			x.startForeground("fg")
			x.send("\x03")
			x.expect("READY> ")
			x.run(`echo "status "$?`, "status 130")
			// A background job that reads from the terminal stops; in the foreground it reads.
			x.run(prefix+`cat & while ! jobs -s | grep -q cat; do :; done; echo it st""opped`, "it stopped")
			x.startForeground("fg")
			x.send("typed\r")
			x.expect("typed\r\ntyped")
			x.send("\x04")
			x.expect("READY> ")
			x.run(`echo "status "$?`, "status 0")
			// Several in one pipeline.
			x.startForeground(prefix + "sleep 1000 | " + prefix + "cat")
			x.send("\x03")
			x.expect("READY> ")
			x.run(`echo "status "${PIPESTATUS[0]}`, "status 130")
			// A program that catches Ctrl-C.
			x.startForeground(prefix + `bash -c 'trap "echo cau""ght; exit 9" INT; echo st""arted; while :; do sleep 0.01; done'`)
			x.expect("started")
			x.send("\x03")
			x.expect("caught")
			x.expect("READY> ")
			x.run(`echo "status "$?`, "status 9")
			// A change of the window's size reaches the program.
			x.startForeground(prefix + `bash -c 'trap "stty size; exit 3" WINCH; echo st""arted; while :; do sleep 0.01; done'`)
			x.expect("started")
			x.resize(44, 99)
			x.expect("44 99")
			x.expect("READY> ")
			x.run(`echo "status "$?`, "status 3")
			x.send("exit 5\r")
			if status := x.end(); status != "exit 5" {
				t.Errorf("the shell ended with %s", status)
			}
		})
	}
}

// TestHangup: when the terminal goes away, so does the session, and the sandbox with it.
func TestHangup(t *testing.T) {
	t.Parallel()
	x := openTerminal(t, "sandboxed", runsbx, "run", "--unconfined", "--", "sh", "-c", "echo st''arted; sleep 1000; :")
	x.expect("started")
	x.master.Close()
	if !waitNone(x.tag, time.Minute) {
		t.Errorf("alive after the hangup: %v", tagged(x.tag))
	}
}
