package main

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// job is "runsbx run sh -c SCRIPT" in a process group of its own, whose script has said "up".
type job struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startJob(t *testing.T, script string) *job {
	t.Helper()
	cmd := exec.Command("runsbx", "run", "sh", "-c", script)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// What is ignored here, as nohup(1) has it, is so in the program, and a shell cannot trap it.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT)
	defer signal.Stop(caught)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	j := &job{cmd, in, bufio.NewScanner(out)}
	t.Cleanup(func() { cmd.Process.Kill() })
	j.says(t, "up")
	return j
}

// says reads one line.
func (j *job) says(t *testing.T, want string) {
	t.Helper()
	if !j.out.Scan() || j.out.Text() != want {
		t.Fatalf("the program says %q, want %q", j.out.Text(), want)
	}
}

// ends waits for the end and returns all further lines.
func (j *job) ends(t *testing.T, want string) string {
	t.Helper()
	var lines []string
	for j.out.Scan() {
		lines = append(lines, j.out.Text())
	}
	j.Wait()
	if got := j.ProcessState.String(); got != want {
		t.Errorf("ended with %s, want %s", got, want)
	}
	return strings.Join(lines, " ")
}

func TestForward(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT,
		"USR1": syscall.SIGUSR1, "ALRM": syscall.SIGALRM, "PIPE": syscall.SIGPIPE, "50": 50,
	} {
		t.Run(name, func(t *testing.T) {
			j := startJob(t, "trap 'echo got; exit 7' "+name+"; echo up; while :; do sleep 0.05; done")
			unix.Kill(j.Process.Pid, sig)
			j.says(t, "got")
			j.ends(t, "exit status 7")
		})
		t.Run(name+"-default", func(t *testing.T) {
			j := startJob(t, "echo up; exec sleep 60")
			unix.Kill(j.Process.Pid, sig)
			j.Wait()
			if ws := j.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != sig {
				t.Errorf("ended with %s, want signal %v", j.ProcessState, sig)
			}
		})
	}
}

// TestOwnGroup checks that what the program sends to its group is not sent back to it.
func TestOwnGroup(t *testing.T) {
	j := startJob(t, "trap 'echo got' TERM; echo up; kill 0; sleep 0.3; echo end")
	if got := j.ends(t, "exit status 0"); got != "got end" {
		t.Errorf("the program says %q, want one got", got)
	}
}

// TestStop checks that we stop by the same signal when the program does, and go on with it.
func TestStop(t *testing.T) {
	for _, group := range []bool{false, true} {
		j := startJob(t, "echo up; read x; echo $x; exit 5")
		pid := j.Process.Pid
		target := pid
		if group {
			target = -pid
		}
		var ws unix.WaitStatus
		unix.Kill(target, unix.SIGTSTP)
		if _, err := unix.Wait4(pid, &ws, unix.WUNTRACED, nil); err != nil || !ws.Stopped() || ws.StopSignal() != unix.SIGTSTP {
			t.Fatalf("wait status %#x, %v; want a stop by SIGTSTP", uint32(ws), err)
		}
		unix.Kill(target, unix.SIGCONT)
		io.WriteString(j.in, "hello\n")
		if got := j.ends(t, "exit status 5"); got != "hello" {
			t.Errorf("the program says %q, want hello", got)
		}
	}
}
