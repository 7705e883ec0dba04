//go:build linux && amd64

package difftest

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runsbx/runsbx/sentry/limits"
	"golang.org/x/sys/unix"
)

// poke is the guest's own call: it writes a word.
const poke = 1 << 20

// guest is the process on which the calls are made.
type guest struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     io.Reader
	pid     int
	scratch uint64 // a page of its memory, for calls that take pointers
}

// buildGuest compiles the guest; without a compiler the test is skipped.
func buildGuest(t *testing.T) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "guest")
	out, err := exec.Command(gcc, "-O1", "-static", "-nostdlib", "-fno-stack-protector",
		"-fno-asynchronous-unwind-tables", "-o", path, "testdata/guest.c").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// The unprivileged guest must be able to execute it.
	for d := dir; d != "/" && strings.HasPrefix(d, os.TempDir()); d = filepath.Dir(d) {
		os.Chmod(d, 0o755)
	}
	return path
}

// startGuest starts one; files become its descriptors 3, 4, ...
func startGuest(path string, privileged bool, files []*os.File) (*guest, error) {
	cmd := exec.Command(path)
	cmd.Env = []string{}
	cmd.ExtraFiles = files
	if !privileged {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g := &guest{cmd: cmd, in: in, out: out, pid: cmd.Process.Pid}
	g.scratch, err = g.answer()
	if err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

func (g *guest) stop() {
	g.in.Close()
	g.cmd.Process.Kill()
	g.cmd.Wait()
}

func (g *guest) answer() (uint64, error) {
	var b [8]byte
	_, err := io.ReadFull(g.out, b[:])
	return binary.LittleEndian.Uint64(b[:]), err
}

// call makes a call in the guest and returns its raw result.
func (g *guest) call(nr uint64, args ...uint64) (int64, error) {
	var b [56]byte
	binary.LittleEndian.PutUint64(b[:], nr)
	for i, a := range args {
		binary.LittleEndian.PutUint64(b[8+8*i:], a)
	}
	stuck := time.AfterFunc(10*time.Second, func() { g.cmd.Process.Kill() })
	defer stuck.Stop()
	if _, err := g.in.Write(b[:]); err != nil {
		return 0, err
	}
	ret, err := g.answer()
	return int64(ret), err
}

// setLimits gives the guest these soft limits; none may exceed its hard one.
func (g *guest) setLimits(l limits.Rlimits) error {
	for res, soft := range map[int]uint64{
		unix.RLIMIT_AS: l.AS, unix.RLIMIT_DATA: l.Data, unix.RLIMIT_MEMLOCK: l.MemLock,
	} {
		var lim unix.Rlimit
		if err := unix.Getrlimit(res, &lim); err != nil {
			return err
		}
		for i, w := range []uint64{min(soft, lim.Max), lim.Max} {
			if _, err := g.call(poke, g.scratch+8*uint64(i), w); err != nil {
				return err
			}
		}
		if ret, err := g.call(unix.SYS_SETRLIMIT, uint64(res), g.scratch); err != nil || ret != 0 {
			return fmt.Errorf("setrlimit: %d, %v", ret, err)
		}
	}
	return nil
}

// hardLimits returns the limits that a guest starts with, lifted as far as they can be.
func hardLimits() (limits.Rlimits, error) {
	var v [4]uint64
	for i, res := range []int{unix.RLIMIT_AS, unix.RLIMIT_DATA, unix.RLIMIT_STACK, unix.RLIMIT_MEMLOCK} {
		var lim unix.Rlimit
		if err := unix.Getrlimit(res, &lim); err != nil {
			return limits.Rlimits{}, err
		}
		v[i] = lim.Max
		if res == unix.RLIMIT_STACK {
			v[i] = lim.Cur
		}
	}
	return limits.Rlimits{AS: v[0], Data: v[1], Stack: v[2], MemLock: v[3]}, nil
}
