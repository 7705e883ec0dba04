package sandbox

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sentry/kernel"
)

// TestGone: a process is gone when nothing is left of it but its status.
func TestGone(t *testing.T) {
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m, task := new(machine), &kernel.Task{TID: cmd.Process.Pid}
	if m.Gone(task) {
		t.Error("gone while it lives")
	}
	cmd.Process.Kill()
	// It stays a zombie until it is waited for.
	if err := unix.Waitid(unix.P_PID, task.TID, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Error(err)
	}
	if !m.Gone(task) {
		t.Error("a zombie is not gone")
	}
	cmd.Wait()
	if !m.Gone(task) {
		t.Error("not gone when it has been waited for")
	}
}

func TestProbe(t *testing.T) {
	h, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.CanRun(); err != nil {
		t.Errorf("CanRun() = %v, but the tests of this package run sandboxes", err)
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(release)); h.Kernel != got {
		t.Errorf("Kernel = %q, want %q", h.Kernel, got)
	}
	if h.Sysctls["vm.max_map_count"] == "" {
		t.Errorf("no vm.max_map_count in %v", h.Sysctls)
	}
	if _, err := json.Marshal(h); err != nil {
		t.Error(err)
	}
}

// TestProbeChangesNothing checks that no thread of this process is left with what was tried.
func TestProbeChangesNothing(t *testing.T) {
	state := func() (s []string) {
		for _, file := range []string{"status", "personality"} {
			b, err := os.ReadFile("/proc/self/" + file)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.SplitSeq(string(b), "\n") {
				if file == "personality" || strings.HasPrefix(line, "NoNewPrivs") || strings.HasPrefix(line, "Seccomp") {
					s = append(s, line)
				}
			}
		}
		return s
	}
	before := strings.Join(state(), " ")
	for range 5 {
		if _, err := Probe(); err != nil {
			t.Fatal(err)
		}
	}
	if after := strings.Join(state(), " "); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
}

func TestCanRunSaysWhatIsMissing(t *testing.T) {
	h, err := Probe()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		want string
		take func(h *Host)
	}{
		{"SECCOMP_RET_TRACE", func(h *Host) { h.Seccomp.Trace = false }},
		{"notifications", func(h *Host) { h.Seccomp.NewListener = false }},
		{"WAIT_KILLABLE", func(h *Host) { h.Seccomp.WaitKillableRecv = false }},
		{"traced", func(h *Host) { h.Ptrace.Trace = false }},
		{"GET_SYSCALL_INFO", func(h *Host) { h.Ptrace.GetSyscallInfo = false }},
		{"process_vm_readv", func(h *Host) { h.Ptrace.ReadMemory = false }},
	} {
		less := *h
		x.take(&less)
		if err := less.CanRun(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("CanRun() = %v, want something about %s", err, x.want)
		}
	}
	none := Host{}
	if got := len(none.NotEnforced()); got != 2 {
		t.Errorf("NotEnforced() of nothing has %d lines, want 2", got)
	}
	old := Host{Personality: true, Landlock: 1}
	if got := len(old.NotEnforced()); got != 4 {
		t.Errorf("NotEnforced() with Landlock's first ABI has %d lines, want 4", got)
	}
}

func BenchmarkProbe(b *testing.B) {
	for b.Loop() {
		if _, err := Probe(); err != nil {
			b.Fatal(err)
		}
	}
}
