package ptrace

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
)

// refusing is a filter that answers a call with an errno.
func refusing(t *testing.T, nr uint64, errno unix.Errno) []byte {
	t.Helper()
	b, err := seccomp.Filter{Default: seccomp.Allow, Rules: []seccomp.Rule{{Nr: nr, Act: seccomp.Errno, Errno: uint16(errno)}}}.Export()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFilters: all filters hold, also over another exec of the program, and may refuse what Start itself
// makes.
func TestFilters(t *testing.T) {
	eachLink(t, func(t *testing.T) {
		for _, limits := range [][]Rlimit{nil, {{Resource: unix.RLIMIT_STACK, Cur: 1 << 20, Max: 1 << 20}}} {
			cfg := shell(`mkdir /tmp/refused 2>/dev/null && exit 9; echo "$(umask 2>&1)"`)
			cfg.Rlimits = limits
			cfg.Filters = [][]byte{
				refusing(t, unix.SYS_MKDIR, unix.EPERM), refusing(t, unix.SYS_SECCOMP, unix.EPERM),
			}
			wantOut(t, run(t, cfg.with(&counter{})), "0022\n", 0)
			cfg = shell("exec 2>/dev/null; /bin/true || echo $?")
			cfg.Rlimits = limits
			cfg.Filters = [][]byte{refusing(t, unix.SYS_EXECVE, unix.EACCES)}
			wantOut(t, run(t, cfg.with(&counter{})), "126\n", 0)
		}
	})
	_, err := begin(Config{Path: "/bin/true", Handler: &counter{}, Filter: filter(t), Filters: [][]byte{make([]byte, 7)}})
	if err == nil || !strings.Contains(err.Error(), "a filter of 7 bytes") {
		t.Errorf("got %v", err)
	}
	var bad *Error
	_, err = begin(Config{Path: "/bin/true", Handler: &counter{}, Filter: filter(t), Filters: [][]byte{make([]byte, 8)}})
	if !errors.As(err, &bad) || bad.Op != "seccomp(SECCOMP_SET_MODE_FILTER)" || bad.Err != unix.EINVAL {
		t.Errorf("got %v", err)
	}
}

// TestPrepare: calls with data and with lent descriptors are made, and leave nothing behind.
func TestPrepare(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	leak, err := unix.Open("/dev/null", unix.O_RDONLY, 0) // is inherited
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	eachLink(t, func(t *testing.T) {
		cfg := shell("umask; ls /proc/self/fd | wc -l")
		cfg.Lent = []*os.File{dir}
		cfg.CloseOthers = true
		cfg.Prepare = func(pid, lent int) ([]Call, error) {
			return []Call{
				{Op: "umask", Nr: unix.SYS_UMASK, Args: [6]uint64{0o77}},
				{Op: "mkdirat", Nr: unix.SYS_MKDIRAT, Args: [6]uint64{uint64(lent), 0, 0o700}, Data: [6][]byte{1: []byte("made\x00")}},
				{Op: "renameat", Nr: unix.SYS_RENAMEAT, Args: [6]uint64{uint64(lent), 0, uint64(lent), 0},
					Data: [6][]byte{1: []byte("made\x00"), 3: []byte("renamed\x00")}},
			}, nil
		}
		wantOut(t, run(t, cfg.with(&counter{})), "0077\n4\n", 0) // 0, 1, 2 and the one that ls opens
		if err := os.Remove(dir.Name() + "/renamed"); err != nil {
			t.Error(err)
		}
	})
	cfg := shell("exit 9")
	cfg.Handler, cfg.Filter = &counter{}, filter(t)
	cfg.Prepare = func(int, int) ([]Call, error) {
		return []Call{{Op: "landlock_restrict_self", Nr: unix.SYS_LANDLOCK_RESTRICT_SELF, Args: [6]uint64{^uint64(0)}}}, nil
	}
	_, err = begin(cfg)
	var e *Error
	if !errors.As(err, &e) || e.Op != "landlock_restrict_self" || e.Err != unix.EBADF && e.Err != unix.ENOSYS && e.Err != unix.EOPNOTSUPP {
		t.Errorf("got %v", err)
	}
	veto := errors.New("no")
	cfg.Prepare = func(int, int) ([]Call, error) { return nil, veto }
	if _, err = begin(cfg); err != veto {
		t.Errorf("got %v", err)
	}
}

// TestPrepareCapabilities: what capset(2) takes does not come back with an exec.
func TestPrepareCapabilities(t *testing.T) {
	cfg := shell("grep CapEff /proc/self/status")
	cfg.Prepare = func(int, int) ([]Call, error) {
		header := binary.NativeEndian.AppendUint64(nil, unix.LINUX_CAPABILITY_VERSION_3)
		return []Call{{Op: "capset", Nr: unix.SYS_CAPSET, Data: [6][]byte{header, make([]byte, 24)}}}, nil
	}
	wantOut(t, run(t, cfg.with(&counter{})), "CapEff:\t0000000000000000\n", 0)
}
