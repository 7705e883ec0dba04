package escape

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// survivors are the ways of testdata/survive.c to go on without the supervisor.
var survivors = []struct {
	name string
	self bool // it is the first process itself that wants to go on: natively there is nothing to outlive
}{
	{name: "daemon"}, {name: "blocked"}, {name: "cloneparent"}, {name: "untraced"}, {name: "vm"},
	{name: "nosignal"}, {name: "leader", self: true}, {name: "subreaper"}, {name: "stopped", self: true},
}

// TestSurvivors kills what was started. Natively the rest goes on; with runsbx nothing does.
func TestSurvivors(t *testing.T) {
	t.Parallel()
	for _, s := range survivors {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, u := range users() {
				t.Run("natively as "+u.name, func(t *testing.T) {
					if s.self {
						t.Skip("it is what was started")
					}
					pid, left := killed(t, u, nil, s.name)
					if !slices.Contains(left, pid) {
						t.Errorf("%d does not live any more, only %v", pid, left)
					}
				})
				t.Run("confined as "+u.name, func(t *testing.T) {
					if pid, left := killed(t, u, confinedBy(), s.name); len(left) != 0 {
						t.Errorf("%v outlive the supervisor; the last one is %d", left, pid)
					}
				})
			}
		})
	}
}

// killed starts the program, kills what was started as soon as the last process lives, and returns
// that and the processes that are left.
func killed(t *testing.T, u user, prefix []string, how string) (int, []int) {
	t.Helper()
	p := newPlace(t, u, attack{name: "survive"})
	tag := newTag()
	argv := slices.Concat(u.prefix, prefix, []string{p.program, how})
	cmd := command(context.Background(), p.work, tag, append(p.env, "BEATS=400"), argv)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer killTagged(tag)
	pid := 0
	for end := time.Now().Add(20 * time.Second); pid == 0; time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(p.work, "alive"))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		if time.Now().After(end) {
			cmd.Process.Kill()
			t.Fatal("the program did not come so far")
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	// The kernel needs a moment for ending the rest; what wants to live on does so for 20 seconds.
	left := tagged(tag)
	for end := time.Now().Add(2 * time.Second); len(left) != 0 && time.Now().Before(end); left = tagged(tag) {
		time.Sleep(50 * time.Millisecond)
	}
	return pid, left
}

// TestTreeIsWaitedFor lets the first process end before its daemon: runsbx ends after both.
func TestTreeIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, u := range users() {
		t.Run(u.name, func(t *testing.T) {
			p := newPlace(t, u, attack{name: "survive"})
			tag := newTag()
			ctx, cancel := context.WithTimeout(context.Background(), hangGuard)
			defer cancel()
			argv := slices.Concat(u.prefix, confinedBy(), []string{p.program, "daemon", "end"})
			cmd := command(ctx, p.work, tag, append(p.env, "BEATS=20"), argv)
			defer killTagged(tag)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if left := tagged(tag); len(left) != 0 {
				t.Errorf("%v outlive runsbx", left)
			}
			if _, err := os.Stat(filepath.Join(p.work, "alive")); err != nil {
				t.Errorf("the daemon did not live: %v", err)
			}
		})
	}
}
