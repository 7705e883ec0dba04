package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestExitStatus: every exit status comes through.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	die := guest(t, "die", "-static")
	dir := base(t)
	for n := range 256 {
		if testing.Short() && n%16 != 0 {
			continue
		}
		argv := []string{runsbx, "run", "--unconfined", "--", die, "exit", strconv.Itoa(n)}
		r := runBounded(t, argv, dir, program{}.environment(dir), "", 0)
		if want := (result{status: fmt.Sprintf("exit %d", n)}); r != want {
			t.Errorf("exit %d: %+v", n, r)
		}
	}
}

// TestSignalStatus: a program that a signal ended makes runsbx end by the same signal.
func TestSignalStatus(t *testing.T) {
	t.Parallel()
	die := guest(t, "die")
	var signals []syscall.Signal
	for s := syscall.Signal(1); s < 32; s++ {
		signals = append(signals, s)
	}
	signals = append(signals, 34, 40, 64)
	for _, s := range signals {
		switch s {
		case syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU:
			continue // these stop: see TestStop
		}
		t.Run(fmt.Sprintf("%d %s", int(s), s), func(t *testing.T) {
			t.Parallel()
			status := "signal: " + s.String()
			switch s {
			case syscall.SIGCHLD, syscall.SIGCONT, syscall.SIGURG, syscall.SIGWINCH:
				status = "exit 99" // ignored by default
			}
			program{argv: []string{die, "signal", strconv.Itoa(int(s))}, status: status}.check(t)
		})
	}
	for _, s := range []syscall.Signal{syscall.SIGSEGV, syscall.SIGILL, syscall.SIGFPE, syscall.SIGTRAP} {
		t.Run("fault "+s.String(), func(t *testing.T) {
			t.Parallel()
			program{
				argv:   []string{die, "signal", strconv.Itoa(int(s)), "really"},
				status: "signal: " + s.String(),
			}.check(t)
		})
	}
	// With core dumps allowed there is one core file, the program's, not one of runsbx. (So the
	// status of runsbx does not have the flag for "core dumped".)
	t.Run("core dump", func(t *testing.T) {
		t.Parallel()
		pattern, _ := os.ReadFile("/proc/sys/kernel/core_pattern")
		program{
			argv: []string{die, "signal", strconv.Itoa(int(syscall.SIGABRT))},
			wrap: shellWrap(`ulimit -c unlimited; "$@" 2>/dev/null; echo $?; ls | wc -l; # ` + string(pattern)),
			normal: func(s string) string {
				s = strings.ReplaceAll(withoutJobPIDs(s), "(core dumped)", "")
				return strings.Join(strings.Fields(s), " ")
			},
			want: "134",
		}.check(t)
	})
}

// TestStop: a job that stops makes runsbx stop with it; when the job goes on, so does it.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			// kill 0 is the whole process group, as a terminal does it.
			script := fmt.Sprintf("kill -%d 0; echo went on > file; exit 7", int(sig))
			native := runStopping(t, nil, script)
			boxed := runStopping(t, []string{runsbx, "run", "--unconfined", "--verify", "exit", "--"}, script)
			if native != boxed {
				t.Errorf("natively: %s\nsandboxed: %s", native, boxed)
			}
		})
	}
	// A program that is stopped alone, by SIGSTOP, does not stop runsbx: it may be another process
	// of the tree that continues it. SIGCONT for runsbx is SIGCONT for the program.
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		dir, tag := base(t), newTag()
		cmd := exec.Command(runsbx, "run", "--unconfined", "--", "sh", "-c", "kill -STOP $$; exit 7")
		cmd.Dir, cmd.Env = dir, append(program{}.environment(dir), tag)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer killTagged(tag)
		defer newGuard(t, tag)()
		for !someStopped(tag) && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		cmd.Process.Signal(syscall.SIGCONT)
		cmd.Wait()
		if got := statusOf(cmd.ProcessState.Sys().(syscall.WaitStatus)); got != "exit 7" {
			t.Error(got)
		}
	})
}

// someStopped reports whether a shell with the tag says that it is stopped. (It is in state t also
// for a moment at every decided call, so what is looked at is the call that it is in.)
func someStopped(tag string) bool {
	for _, pid := range tagged(tag) {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		call, _ := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", pid))
		_, state, _ := strings.Cut(string(stat), ") ")
		if string(comm) == "sh\n" && strings.HasPrefix(strings.ToUpper(state), "T") &&
			strings.HasPrefix(string(call), fmt.Sprint(syscall.SYS_KILL, " ")) {
			return true
		}
	}
	return false
}

// runStopping runs the script in a process group of its own, continues the group whenever its
// leader stops, and tells what happened.
func runStopping(t *testing.T, prefix []string, script string) (seen string) {
	t.Helper()
	dir, tag := base(t), newTag()
	argv := append(prefix, lookTool("sh"), "-c", script)
	p, err := os.StartProcess(argv[0], argv, &os.ProcAttr{
		Dir: dir, Env: append(program{}.environment(dir), tag), Files: []*os.File{nil, nil, os.Stderr},
		Sys: &syscall.SysProcAttr{Setpgid: true}, // its parent is in the same session, so it can be stopped
	})
	if err != nil {
		t.Fatal(err)
	}
	defer killTagged(tag)
	defer newGuard(t, tag)()
	for {
		var w syscall.WaitStatus
		if _, err := syscall.Wait4(p.Pid, &w, syscall.WUNTRACED, nil); err == syscall.EINTR {
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		if !w.Stopped() {
			b, _ := os.ReadFile(filepath.Join(dir, "file"))
			return seen + statusOf(w) + " " + string(b)
		}
		if _, err := os.Stat(filepath.Join(dir, "file")); err == nil {
			t.Error("the program went on while it was stopped")
		}
		seen += fmt.Sprintf("stopped by %v; ", w.StopSignal())
		syscall.Kill(-p.Pid, syscall.SIGCONT)
	}
}

// TestCannotRun: programs that are missing or cannot be run, and what can be run though it looks
// odd. A shell's statuses: 127 when it was not found, 126 when it could not be run.
func TestCannotRun(t *testing.T) {
	t.Parallel()
	dir := base(t)
	write := func(name, content string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("data", "\x00\x01\x02", 0o755)
	write("noexec", "#!/bin/sh\necho ran\n", 0o644)
	write("script", "#!/bin/sh -e\necho \"$0 $1\"; exit 6\n", 0o755)
	write("nointerpreter", "#!/nonexistent/interpreter\n", 0o755)
	write("badinterpreter", "#!"+dir+"/data\n", 0o755)
	write("noshebang", "echo no shebang; exit 8\n", 0o755)
	write("empty", "", 0o755)
	write("envscript", "#!/usr/bin/env -S sh -c 'exit 9'\n", 0o755)
	os.Mkdir(filepath.Join(dir, "sub"), 0o755)
	os.Symlink("loop", filepath.Join(dir, "loop"))
	os.Symlink("script", filepath.Join(dir, "link"))
	syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o755)
	for name, c := range map[string]struct {
		argv   []string
		status string
		quiet  bool
	}{
		"missing in PATH":     {[]string{"no-such-program"}, "exit 127", false},
		"missing file":        {[]string{"./no-such-program"}, "exit 127", false},
		"missing directory":   {[]string{"/no/such/program"}, "exit 127", false},
		"empty name":          {[]string{""}, "exit 127", false},
		"directory":           {[]string{"./sub"}, "exit 126", false},
		"below a file":        {[]string{"./data/x"}, "exit 126", false},
		"no execute bit":      {[]string{"./noexec"}, "exit 126", false},
		"not a program":       {[]string{"./data"}, "exit 126", false},
		"empty file":          {[]string{"./empty"}, "exit 126", false},
		"no shebang":          {[]string{"./noshebang"}, "exit 126", false},
		"missing interpreter": {[]string{"./nointerpreter"}, "exit 126", false},
		"bad interpreter":     {[]string{"./badinterpreter"}, "exit 126", false},
		"symlink loop":        {[]string{"./loop"}, "exit 126", false},
		"fifo":                {[]string{"./fifo"}, "exit 126", false},
		"script":              {[]string{"./script", "arg"}, "exit 6", true},
		"symlink":             {[]string{"./link"}, "exit 6", true},
		"env script":          {[]string{"./envscript"}, "exit 9", true},
	} {
		t.Run(name, func(t *testing.T) {
			argv := append([]string{runsbx, "run", "--unconfined", "--"}, c.argv...)
			r := runBounded(t, argv, dir, program{}.environment(dir), "", 0)
			if r.status != c.status {
				t.Errorf("%s, want %s; stderr %q", r.status, c.status, r.stderr)
			}
			if c.quiet {
				if r.stderr != "" {
					t.Errorf("stderr %q", r.stderr)
				}
				return
			}
			if r.stdout != "" {
				t.Errorf("runsbx printed on stdout: %q", r.stdout)
			}
			oneLine(t, r.stderr)
		})
	}
}
