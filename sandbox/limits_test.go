package sandbox

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sandbox/policy"
)

// TestTooLow: a program that cannot start under its limits is a *LimitError, which says how it ended,
// and what would have been enough.
func TestTooLow(t *testing.T) {
	long := make([]string, 40)
	for i := range long {
		long[i] = strings.Repeat("x", 10_000)
	}
	for _, x := range []struct {
		name   string
		limits map[string]uint64
		args   []string
		low    []string
		ends   syscall.Signal // 0: execve fails
		err    error
	}{
		{name: "as", limits: map[string]uint64{policy.LimitAS: 64 << 10}, low: []string{"as"}, ends: syscall.SIGSEGV},
		{name: "data", limits: map[string]uint64{policy.LimitData: 4 << 10}, low: []string{"data"}, ends: syscall.SIGSEGV},
		{name: "stack", limits: map[string]uint64{policy.LimitStack: 4 << 10, policy.LimitAS: 1 << 30}, low: []string{"stack"}, ends: syscall.SIGSEGV},
		{name: "both", limits: map[string]uint64{policy.LimitData: 4 << 10, policy.LimitAS: 64 << 10}, low: []string{"as", "data"}, ends: syscall.SIGSEGV},
		{name: "arguments", limits: map[string]uint64{policy.LimitStack: 256 << 10}, args: long, low: []string{"stack"}, err: unix.E2BIG},
		{name: "mappings", limits: map[string]uint64{policy.LimitMapCount: 2}, low: []string{"map-count"}, err: unix.ENOMEM},
	} {
		t.Run(x.name, func(t *testing.T) {
			cmd := Command("/bin/true", x.args...)
			// The kernel shifts the stack at random. With this nearly a page is taken in any case.
			cmd.Env = []string{"X=" + strings.Repeat("x", 3800)}
			cmd.Policy.Limits, cmd.Policy.Verify = x.limits, policy.VerifyEvery
			err := cmd.Run()
			var limit *LimitError
			if !errors.As(err, &limit) {
				t.Fatalf("%v, want a *LimitError", err)
			}
			var low []string
			for _, l := range limit.Limits {
				low = append(low, l.Name)
				if l.Limit != x.limits[l.Name] || l.Name != "stack" && l.Needs <= l.Limit {
					t.Errorf("%+v", l)
				}
			}
			if strings.Join(low, " ") != strings.Join(x.low, " ") {
				t.Errorf("too low: %v, want %v", low, x.low)
			}
			if x.ends != 0 && limit.Status.Signal() != x.ends || x.ends == 0 && limit.Status.Signaled() {
				t.Errorf("status %#x", limit.Status)
			}
			if x.err != nil && !errors.Is(err, x.err) || strings.Contains(err.Error(), "\n") {
				t.Error(err)
			}
			r := cmd.Report()
			if r == nil || r.Cause != "limit" || r.Failure != err.Error() || len(r.Refusals) != len(x.low) {
				t.Fatalf("report %+v", r)
			}
			errno := "ENOMEM"
			if x.err == unix.E2BIG {
				errno = "E2BIG"
			}
			if by := r.EndedBy; by == nil || by.Kind != "limit" || by.Resource != x.low[0] || by.Errno != errno {
				t.Errorf("ended by %+v", by)
			}
		})
	}
}

// TestCannotBeHad: a limit above what the host allows is a *policy.LimitError.
func TestCannotBeHad(t *testing.T) {
	cmd := Command("/bin/true")
	cmd.Policy.Limits = map[string]uint64{policy.LimitMapCount: 1 << 40}
	var limit *policy.LimitError
	if err := cmd.Run(); !errors.As(err, &limit) || limit.Name != policy.LimitMapCount {
		t.Error(err)
	}
	cmd = Command("/bin/true")
	cmd.Policy.Limits = map[string]uint64{policy.LimitAS: 0}
	if err := cmd.Run(); !errors.As(err, &limit) || limit.Name != policy.LimitAS {
		t.Error(err)
	}
	var own unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, nil, &own); err != nil || own.Max == unix.RLIM_INFINITY || mayRaise() {
		t.Skip("the hard limit can be raised here")
	}
	cmd = Command("/bin/true")
	cmd.Policy.Limits = map[string]uint64{policy.LimitMemLock: own.Max + 4096}
	if err := cmd.Run(); !errors.As(err, &limit) || limit.Name != policy.LimitMemLock || !strings.Contains(err.Error(), "CAP_SYS_RESOURCE") {
		t.Error(err)
	}
}

// TestLimitsAreTheProgramsOnly: the program has them, soft and hard, and we do not.
func TestLimitsAreTheProgramsOnly(t *testing.T) {
	var before, after unix.Rlimit
	unix.Prlimit(0, unix.RLIMIT_AS, nil, &before)
	cmd := Command("/bin/sh", "-c", "exec grep 'Max address space' /proc/self/limits")
	cmd.Policy.Limits = map[string]uint64{policy.LimitAS: 100 << 20}
	cmd.Policy.Verify = policy.VerifyEvery
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil || strings.Count(string(out), "104857600") != 2 {
		t.Errorf("%v: %s", err, out)
	}
	if unix.Prlimit(0, unix.RLIMIT_AS, nil, &after); after != before {
		t.Errorf("ours were %v and are %v", before, after)
	}
	if r := cmd.Report(); r.Execs != 2 || r.Processes != 1 {
		t.Errorf("%d execs of %d processes", r.Execs, r.Processes)
	}
}
