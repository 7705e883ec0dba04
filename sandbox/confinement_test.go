package sandbox

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sandbox/policy"
)

// TestZeroPolicyConfines: a Cmd that nothing is asked of confines its program, and says by what.
func TestZeroPolicyConfines(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := shell("cat " + secret + "; echo made >file; ls /proc/self/fd; echo $TMPDIR")
	c.Dir = dir
	out, _ := run(t, c)
	if strings.Contains(out, "secret\n") || !strings.Contains(out, "Permission denied") || !strings.HasPrefix(filepath.Base(c.Report().Confinement.TempDir), "runsbx-") {
		t.Errorf("%s", out)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "made\n" {
		t.Errorf("%q, %v", b, err)
	}
	r := c.Report().Confinement
	if _, err := os.Stat(r.TempDir); !os.IsNotExist(err) {
		t.Errorf("%s: %v", r.TempDir, err)
	}
	if !r.Enforced || r.LandlockABI < 1 || r.Network || len(r.ReadWrite) != 1 || r.Limits["procs"] != 4096 || r.Limits["core"] != 0 {
		t.Errorf("%+v", r)
	}
	for _, c := range []*Confinement{&r, {}} {
		b, err := json.Marshal(c)
		var back Confinement
		if err == nil {
			err = json.Unmarshal(b, &back)
		}
		again, _ := json.Marshal(back)
		if err != nil || string(again) != string(b) || !c.Enforced && string(b) != `"none"` {
			t.Errorf("%s, %s, %v", b, again, err)
		}
	}
}

// TestUnconfined: without confinement there is none of it.
func TestUnconfined(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := shell("cat " + secret + "; ulimit -f")
	c.Policy.Unconfined = true
	if out, _ := run(t, c); !strings.HasPrefix(out, "secret") || c.Report().Confinement.Enforced {
		t.Errorf("%q, %+v", out, c.Report().Confinement)
	}
}

func TestTimeoutError(t *testing.T) {
	c := shell("sleep 100 & exit 0")
	c.Policy.Timeout = 200 * time.Millisecond
	var late *TimeoutError
	if err := c.Run(); !errors.As(err, &late) || late.After != c.Policy.Timeout {
		t.Errorf("got %v", err)
	}
	if r := c.Report(); r.Cause != CauseTimeout || r.ExitCode != 0 {
		t.Errorf("cause %s, exit code %d", r.Cause, r.ExitCode)
	}
	c = shell("exit 0")
	c.Policy.Timeout = -1
	if err := c.Run(); err == nil {
		t.Error("a timeout below zero is taken")
	}
}

// TestNoSuchPath: a path that is asked for and is not there keeps the program from starting, and leaves nothing.
func TestNoSuchPath(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := Command("true")
	c.Policy.ReadOnly = []string{"/no/such/path"}
	var own *Error
	if err := c.Run(); !errors.As(err, &own) || !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v", err)
	}
	c = Command("/no/such/program")
	if err := c.Run(); !errors.As(err, new(*StartError)) {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestLimitDefaults(t *testing.T) {
	for _, x := range []struct {
		p         policy.Policy
		name      string
		v         uint64
		byDefault bool
		limited   bool
	}{
		{policy.Policy{}, policy.LimitProcs, 4096, true, true},
		{policy.Policy{}, policy.LimitAS, 0, true, false},
		{policy.Policy{Unconfined: true}, policy.LimitProcs, 0, false, false},
		{policy.Policy{Limits: map[string]uint64{policy.LimitCore: 5}}, policy.LimitCore, 5, false, true},
		{policy.Policy{Unconfined: true, Limits: map[string]uint64{policy.LimitCore: 5}}, policy.LimitCore, 5, false, true},
	} {
		if v, byDefault, limited := x.p.Limit(x.name); v != x.v || byDefault != x.byDefault || limited != x.limited {
			t.Errorf("%+v: %s: %d, %v, %v", x.p, x.name, v, byDefault, limited)
		}
	}
}
