package integration

import (
	"bufio"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKillSupervisor kills runsbx at a random moment of a busy tree, a hundred times. One second
// later nothing of the tree is alive: neither orphans in sessions of their own, nor stopped
// processes, nor those that ignore every signal, nor those being born.
func TestKillSupervisor(t *testing.T) {
	trials := 100
	if testing.Short() {
		trials = 10
	}
	busy := guest(t, "busytree")
	var sizes, empty int
	for trial := range trials {
		verify := []string{"off", "exit", "every"}[trial%3]
		n := killTrial(t, trial, []string{runsbx, "run", "--unconfined", "--verify", verify, "--", busy})
		sizes += n
		if n < 2 {
			empty++
		}
	}
	t.Logf("on average %.1f processes were alive when the supervisor was killed", float64(sizes)/float64(trials))
	if empty > trials/2 {
		t.Errorf("in %d of %d trials there was no tree to kill", empty, trials)
	}
}

// killTrial returns how many processes were alive just before the kill.
func killTrial(t *testing.T, trial int, argv []string) int {
	t.Helper()
	tag := newTag()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(program{}.environment("/"), tag)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd.WaitDelay = 5 * time.Second
	defer killTagged(tag)
	if trial%4 != 0 { // some are killed while they start
		guard := time.AfterFunc(hangGuard, func() { killTagged(tag) })
		if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "up\n" {
			t.Fatalf("trial %d: the tree did not start: %q, %v\n%s", trial, line, err, stderr.String())
		}
		guard.Stop()
	}
	time.Sleep(time.Duration(rand.IntN(120_000)) * time.Microsecond)
	alive := len(tagged(tag))
	cmd.Process.Kill()
	end := time.Now().Add(time.Second)
	cmd.Wait()
	left := tagged(tag)
	for len(left) > 0 && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
		left = tagged(tag)
	}
	if len(left) > 0 {
		out, _ := exec.Command("ps", "-o", "pid,ppid,pgid,stat,wchan:20,args", "-p", pidList(left)).CombinedOutput()
		t.Errorf("trial %d: %d processes are alive one second after the kill:\n%s", trial, len(left), out)
	}
	return alive
}

// TestDeath: what ends the supervisor in other ways ends the tree too.
func TestDeath(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		t.Run(sig.String(), func(t *testing.T) {
			tag := newTag()
			cmd := exec.Command(runsbx, "run", "--unconfined", "--", "sh", "-c", "echo up; sleep 300; :")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			cmd.Env = append(program{}.environment("/"), tag)
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			cmd.WaitDelay = 5 * time.Second
			defer killTagged(tag)
			guard := time.AfterFunc(hangGuard, func() { killTagged(tag) })
			defer guard.Stop()
			bufio.NewReader(stdout).ReadString('\n')
			// A signal to the process group, as a terminal or a service manager sends it.
			syscall.Kill(-cmd.Process.Pid, sig)
			cmd.Wait()
			if !waitNone(tag, time.Minute) {
				t.Errorf("alive after %v: %v", sig, tagged(tag))
			}
			if got, want := statusOf(cmd.ProcessState.Sys().(syscall.WaitStatus)), "signal: "+sig.String(); got != want {
				t.Errorf("runsbx ended with %s, want %s", got, want)
			}
		})
	}
}

// waitNone waits until no process carries the tag.
func waitNone(tag string, most time.Duration) bool {
	end := time.Now().Add(most)
	for len(tagged(tag)) > 0 {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(5 * time.Millisecond)
	}
	return true
}
