//go:build linux && amd64

package difftest

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/procmaps"
	"golang.org/x/sys/unix"
)

// nobody is the user and group of unprivileged guests.
const nobody = 65534

// guest is the process on which the calls are made, with those that it forked.
type guest struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     io.Reader
	procs   []*guestProc
	cur     int
	scratch uint64 // a page of its memory, for calls that take pointers
	files   []file
	segs    []int // identifiers of the System V segments
	buf     []byte
	list    []procmaps.Entry

	privileged bool
}

type guestProc struct {
	pid          int
	maps, smaps  *os.File
	status, stat *os.File
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

// startGuest starts one.
func (w *world) startGuest(c conditions) (*guest, error) {
	cmd := exec.Command(w.path)
	if c.bottomUp {
		cmd.Args = append(cmd.Args, "bottom-up")
	}
	cmd.Env = []string{}
	cmd.ExtraFiles = w.host
	// In a group of its own: when the test's becomes orphaned, since its shell ends, the kernel wakes
	// what is stopped in it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !c.privileged {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
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
	g := &guest{cmd: cmd, in: in, out: out, files: w.files, segs: w.ids, privileged: c.privileged}
	if g.scratch, err = g.answer(); err == nil {
		err = g.add(cmd.Process.Pid)
	}
	if err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

// add takes in a process of the run.
func (g *guest) add(pid int) error {
	p := &guestProc{pid: pid}
	g.procs = append(g.procs, p)
	for _, f := range []struct {
		name string
		file **os.File
	}{{"maps", &p.maps}, {"smaps", &p.smaps}, {"status", &p.status}, {"stat", &p.stat}} {
		h, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, f.name))
		if err != nil {
			return err
		}
		*f.file = h
	}
	return nil
}

// stop ends all processes, the forked ones first, so that their parents leave no zombies of them.
func (g *guest) stop() {
	for i := len(g.procs) - 1; i > 0; i-- {
		unix.Kill(g.procs[i].pid, unix.SIGKILL)
	}
	g.in.Close()
	g.cmd.Process.Kill()
	g.cmd.Wait()
	for _, p := range g.procs {
		p.maps.Close()
		p.smaps.Close()
		p.status.Close()
		p.stat.Close()
	}
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
	stuck := time.AfterFunc(hangGuard, func() { g.cmd.Process.Kill() })
	if _, err := g.in.Write(b[:]); err != nil {
		return 0, err
	}
	ret, err := g.answer()
	if !stuck.Stop() {
		err = fmt.Errorf("no answer in %v", hangGuard)
	}
	return int64(ret), err
}

// hangGuard is when a guest is taken to hang, on a machine that does much else.
const hangGuard = 2 * time.Minute

// poke writes words into the guest's scratch page.
func (g *guest) poke(words ...uint64) error {
	for i, w := range words {
		if _, err := g.call(opPoke, g.scratch+8*uint64(i), w); err != nil {
			return err
		}
	}
	return nil
}

// do does an operation in the guest. Pointers are into its scratch page.
func (g *guest) do(o *op) (int64, error) {
	a := o.args
	switch o.nr {
	case opFork:
		pid, err := g.call(opFork, a[0])
		if err != nil || pid < 0 {
			return pid, err
		}
		child := int(pid)
		if err := g.add(child); err != nil {
			return 0, err
		}
		if a[0] != 0 {
			g.cur = len(g.procs) - 1
		}
		return 0, nil
	case opSwitch:
		if err := g.waitStopped(int(a[0])); err != nil {
			return 0, err
		}
		ret, err := g.call(opSwitch, uint64(g.procs[a[0]].pid))
		g.cur = int(a[0])
		return ret, err
	case opLook:
		return 0, nil
	case opLimit:
		return -int64(g.limit(int(a[0]), &unix.Rlimit{Cur: a[1], Max: a[2]})), nil
	case linux.SYS_PRLIMIT64:
		if err := g.poke(a[1], a[2]); err != nil {
			return 0, err
		}
		a = [6]uint64{0, a[0], g.scratch}
	case linux.SYS_SETRLIMIT:
		if err := g.poke(a[1], a[2]); err != nil {
			return 0, err
		}
		a = [6]uint64{a[0], g.scratch}
	case linux.SYS_MMAP:
		if a[4] < uint64(len(g.files)) {
			a[4] = g.files[a[4]].fd
		}
	case linux.SYS_SHMAT:
		a[0] = uint64(g.segs[a[0]])
	case linux.SYS_IO_SETUP:
		if err := g.poke(0); err != nil {
			return 0, err
		}
		a[1] = g.scratch
	case linux.SYS_MBIND:
		if err := g.poke(1); err != nil {
			return 0, err
		}
		a[3], a[4] = 0, 0
		if mode := a[2] & 0xff; mode != 0 && mode != 4 {
			a[3], a[4] = g.scratch, 64
		}
	}
	return g.call(o.nr, a[:]...)
}

// limit sets a limit of the present process from outside, as its user: root in a container need not
// have CAP_SYS_RESOURCE, without which others' limits cannot be set.
func (g *guest) limit(resource int, limit *unix.Rlimit) syscall.Errno {
	done := make(chan error)
	go func() {
		if !g.privileged {
			runtime.LockOSThread() // the thread ends with its credentials
			unix.RawSyscall(unix.SYS_SETRESGID, nobody, nobody, nobody)
			unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody)
		}
		done <- unix.Prlimit(g.procs[g.cur].pid, resource, limit, nil)
	}()
	errno, _ := (<-done).(syscall.Errno)
	return errno
}

// waitStopped waits until a process that has been told to stop has done so: waking it before would
// be in vain.
func (g *guest) waitStopped(i int) error {
	var b [512]byte
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Microsecond) {
		n, err := g.procs[i].stat.ReadAt(b[:], 0)
		if err != nil && err != io.EOF {
			return err
		}
		if _, rest, _ := strings.Cut(string(b[:n]), ") "); strings.HasPrefix(rest, "T") {
			return nil
		}
	}
	return fmt.Errorf("process %d does not stop", i)
}
