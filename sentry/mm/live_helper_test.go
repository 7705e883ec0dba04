//go:build linux && amd64

package mm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/procmaps"
)

const helperEnv = "RUNSBX_MM_TEST_HELPER"

// TestMain turns the test binary into the guest of the live tests, when they start it so.
func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) != "" {
		helperMain()
	}
	os.Exit(m.Run())
}

// helperMain makes the calls that come in on standard input, as seven words each, and answers
// each with its raw return value. It avoids everything that makes the Go runtime map memory.
func helperMain() {
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	if os.Getenv(helperEnv) == "unprivileged" {
		hdr := [2]uint32{0x20080522, 0}
		var none [6]uint32
		syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&none)), 0)
	}
	var buf [7 * 8]byte
	var w [7]uintptr
	for {
		for n := 0; n < len(buf); {
			got, _, errno := syscall.RawSyscall(syscall.SYS_READ, 0, uintptr(unsafe.Pointer(&buf[n])), uintptr(len(buf)-n))
			if errno == syscall.EINTR {
				continue
			}
			if errno != 0 || got == 0 {
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
			}
			n += int(got)
		}
		for i := range w {
			w[i] = uintptr(binary.LittleEndian.Uint64(buf[8*i:]))
		}
		var ret uintptr
		if w[0] == forkOn {
			ret, _, _ = syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0)
			if ret != 0 { // the child goes on with the test, its parent waits for it
				syscall.RawSyscall6(syscall.SYS_WAIT4, ret, 0, 0, 0, 0, 0)
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
			}
			ret, _, _ = syscall.RawSyscall(syscall.SYS_GETPID, 0, 0, 0)
		} else if w[0] == touch {
			syscall.RawSyscall(sysGetrandom, w[1], 1, 0) // the kernel writes there
		} else {
			r, _, errno := syscall.RawSyscall6(w[0], w[1], w[2], w[3], w[4], w[5], w[6])
			ret = r
			if errno != 0 {
				ret = -uintptr(errno)
			}
		}
		binary.LittleEndian.PutUint64(buf[:], uint64(ret))
		syscall.RawSyscall(syscall.SYS_WRITE, 1, uintptr(unsafe.Pointer(&buf[0])), 8)
	}
}

// These are not calls: touch writes to the address in the first argument, and forkOn goes on in a
// forked child and returns its id.
const (
	touch  = 1 << 20
	forkOn = 1<<20 + 1
)

const sysGetrandom = 318

// live is a guest process and the model of it.
type live struct {
	t      *testing.T
	cmd    *exec.Cmd
	pid    int
	in     io.Writer
	out    io.Reader
	m      *MemoryManager
	c      Caller
	maps   []byte
	list   []procmaps.Entry
	log    []string
	strict bool // take every boundary for a difference
}

// liveConfig is what of the machine decides results.
func liveConfig() *Config {
	read := func(name string) string {
		b, _ := os.ReadFile(name)
		return strings.TrimSpace(string(b))
	}
	number := func(name string, otherwise int) int {
		n, err := strconv.Atoi(read(name))
		if err != nil {
			return otherwise
		}
		return n
	}
	chosen := func(name string) string {
		s := read(name)
		i, j := strings.IndexByte(s, '['), strings.IndexByte(s, ']')
		if i < 0 || j < i {
			return ""
		}
		return s[i+1 : j]
	}
	const thp = "/sys/kernel/mm/transparent_hugepage/"
	_, err := os.Stat(thp)
	shmem := chosen(thp + "shmem_enabled")
	return &Config{
		TaskSize:      0x7ffffffff000,
		MmapMinAddr:   hostarch.Addr(number("/proc/sys/vm/mmap_min_addr", 4096)),
		MaxMapCount:   number("/proc/sys/vm/max_map_count", 65530),
		StackGuardGap: 1 << 20,
		THP:           err == nil,
		ShmemHuge:     shmem != "" && shmem != "never" && shmem != "deny",
		NUMA:          true, KSM: true, MemFailure: true,
		DefaultHuge: hostarch.HugePageSize,
		Overcommit:  limits.OvercommitMode(number("/proc/sys/vm/overcommit_memory", 0)),
	}
}

// startLive starts a guest: with all the test's capabilities ("root"), with none
// ("unprivileged"), or with a layout of its own. Files become its descriptors 3, 4, ...
func startLive(t *testing.T, mode string, files ...*os.File) *live {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	info := SeedInfo{}
	switch mode {
	case "fixed layout":
		cmd = exec.Command("setarch", "-R", self)
		info.NoRandomize = true
	case "legacy layout":
		cmd = exec.Command("setarch", "-R", "-L", self)
		info.NoRandomize, info.Layout = true, BottomUp
	}
	if cmd.Err != nil {
		t.Skip(cmd.Err)
	}
	cmd.Env = append(os.Environ(), helperEnv+"="+mode, "GODEBUG=asyncpreemptoff=1")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = files
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &live{t: t, cmd: cmd, pid: cmd.Process.Pid, in: in, out: out, c: Caller{Limits: limits.Unlimited()}, strict: true}
	t.Cleanup(func() {
		in.(io.Closer).Close()
		cmd.Wait()
		if t.Failed() {
			for _, s := range l.log[max(0, len(l.log)-20):] {
				t.Log(s)
			}
		}
	})
	if mode != "unprivileged" && os.Geteuid() == 0 {
		l.c.Creds = Creds{IPCLock: true, SysRawIO: true, SysResource: true, SysAdmin: true, SysNice: true}
	}
	l.c.Limits = l.getLimits()
	l.c.Limits.DataMax = linux.RLIM_INFINITY
	l.call(syscall.SYS_GETPID) // it runs, and its heap is there
	l.m = New(liveConfig())
	brk := hostarch.Addr(l.call(syscall.SYS_BRK, 0))
	info.StartBrk, info.Brk = l.startBrk(), brk
	if err := l.m.Seed(l.readMaps(), info); err != nil {
		t.Fatal(err)
	}
	l.fence()
	return l
}

// startBrk reads where the guest's heap starts.
func (l *live) startBrk() hostarch.Addr {
	l.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.pid))
	if err != nil {
		l.t.Fatal(err)
	}
	const startBrk = 47 // counted from 1; the name, which may hold blanks, is the second
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	n, err := strconv.ParseUint(fields[startBrk-3], 10, 64)
	if err != nil || n == 0 {
		l.t.Skipf("start_brk cannot be read: %v", err)
	}
	return hostarch.Addr(n)
}

// fence keeps what the tests map away from the memory of the guest's runtime, which is touched:
// on both sides of each of its mappings lies a page that merges with nothing. From then on
// nothing is touched but by the calls.
func (l *live) fence() {
	l.t.Helper()
	var at []hostarch.Addr
	for r, v := range l.m.All() {
		if v.Flags&VM_GROWSDOWN == 0 {
			at = append(at, r.Start-hostarch.PageSize, r.End)
		}
	}
	for _, a := range at {
		if a == l.m.MmapBase() || a == l.m.brk || a == l.m.brk-hostarch.PageSize {
			continue
		}
		if _, _, ok := l.m.Find(a); !ok {
			l.mmap(MMapArgs{Addr: a, Length: hostarch.PageSize,
				Flags: linux.MAP_SHARED | linux.MAP_ANONYMOUS | linux.MAP_FIXED_NOREPLACE}, -1)
		}
	}
	l.m.untouched = true
}

// readMaps returns the kernel's list.
func (l *live) readMaps() []procmaps.Entry {
	l.t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", l.pid))
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	l.maps = l.maps[:0]
	var page [16 << 10]byte
	for {
		n, err := f.Read(page[:])
		l.maps = append(l.maps, page[:n]...)
		if err != nil {
			break
		}
	}
	if l.list, err = procmaps.AppendParse(l.list[:0], l.maps); err != nil {
		l.t.Fatal(err)
	}
	return l.list
}

// call makes the guest do a call.
func (l *live) call(nr uint64, args ...uint64) int64 {
	l.t.Helper()
	var buf [7 * 8]byte
	binary.LittleEndian.PutUint64(buf[:], nr)
	for i, a := range args {
		binary.LittleEndian.PutUint64(buf[8*i+8:], a)
	}
	if _, err := l.in.Write(buf[:]); err != nil {
		l.t.Fatalf("the guest died: %v", err)
	}
	if _, err := io.ReadFull(l.out, buf[:8]); err != nil {
		l.t.Fatalf("the guest died in call %d%#x: %v", nr, args, err)
	}
	return int64(binary.LittleEndian.Uint64(buf[:8]))
}

// check makes the guest do the call that the model decided with res, and compares the answers
// and the lists.
func (l *live) check(res Result, what string, nr uint64, args ...uint64) Result {
	l.t.Helper()
	ret := l.call(nr, args...)
	want := int64(res.Addr)
	if res.Errno != 0 {
		want = -int64(res.Errno)
	}
	l.log = append(l.log, fmt.Sprintf("%s = %#x (model %#x)", what, ret, want))
	if ret < 0 {
		l.log[len(l.log)-1] = fmt.Sprintf("%s = %s (model %#x)", what, linux.Errno(-ret).Name(), want)
	}
	if res.Unsure {
		l.t.Fatalf("%s: the model is unsure", what)
	}
	if ret != want {
		l.t.Fatalf("%s: the kernel says %#x, the model %#x (%s)", what, ret, want, res.Errno.Name())
	}
	l.compare(what)
	return res
}

// compare compares the lists.
func (l *live) compare(what string) {
	l.t.Helper()
	if err := l.m.CheckInvariants(); err != nil {
		l.t.Fatalf("%s: %v", what, err)
	}
	if d := l.m.diff(l.readMaps(), l.strict); len(d) != 0 {
		for _, x := range d {
			l.t.Error(x)
		}
		l.t.Fatalf("after %s", what)
	}
}

func (l *live) mmap(a MMapArgs, fd int) Result {
	l.t.Helper()
	what := fmt.Sprintf("mmap(%v, %#x, %#x, %#x, %d, %#x)", a.Addr, a.Length, a.Prot, a.Flags, fd, a.Offset)
	return l.check(l.m.MMap(&l.c, a), what, syscall.SYS_MMAP, uint64(a.Addr), a.Length, a.Prot, a.Flags, uint64(int64(fd)), a.Offset)
}

func (l *live) munmap(addr hostarch.Addr, length uint64) Result {
	l.t.Helper()
	what := fmt.Sprintf("munmap(%v, %#x)", addr, length)
	return l.check(l.m.MUnmap(&l.c, addr, length), what, syscall.SYS_MUNMAP, uint64(addr), length)
}

func (l *live) mprotect(addr hostarch.Addr, length, prot uint64) Result {
	l.t.Helper()
	what := fmt.Sprintf("mprotect(%v, %#x, %#x)", addr, length, prot)
	return l.check(l.m.MProtect(&l.c, addr, length, prot, -1), what, syscall.SYS_MPROTECT, uint64(addr), length, prot)
}

func (l *live) brk(addr hostarch.Addr) Result {
	l.t.Helper()
	return l.check(l.m.Brk(&l.c, addr), fmt.Sprintf("brk(%v)", addr), syscall.SYS_BRK, uint64(addr))
}

// limitFields pairs the resources with their places.
func limitFields(lim *limits.Rlimits) map[uintptr]*uint64 {
	return map[uintptr]*uint64{
		linux.RLIMIT_AS: &lim.AS, linux.RLIMIT_DATA: &lim.Data,
		linux.RLIMIT_STACK: &lim.Stack, linux.RLIMIT_MEMLOCK: &lim.MemLock,
	}
}

// prlimit reads and, when set is not nil, sets a limit of the guest.
func (l *live) prlimit(resource uintptr, set *[2]uint64) (old [2]uint64) {
	l.t.Helper()
	_, _, e := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(l.pid), resource,
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(&old)), 0, 0)
	if e != 0 {
		l.t.Fatal(e)
	}
	return old
}

func (l *live) getLimits() (lim limits.Rlimits) {
	l.t.Helper()
	for resource, v := range limitFields(&lim) {
		*v = l.prlimit(resource, nil)[0]
	}
	return lim
}

// setLimits sets the guest's soft limits, in the kernel and for the model.
func (l *live) setLimits(lim limits.Rlimits) {
	l.t.Helper()
	for resource, v := range limitFields(&lim) {
		l.prlimit(resource, &[2]uint64{*v, l.prlimit(resource, nil)[1]})
	}
	l.c.Limits = lim
}

// status returns a size of /proc/PID/status, in pages.
func (l *live) status(key string) uint64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.pid))
	if err != nil {
		l.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			n, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return n / 4
		}
	}
	l.t.Fatalf("no %s in status", key)
	return 0
}

// checkTotals compares the totals with the kernel's.
func (l *live) checkTotals() {
	l.t.Helper()
	t := l.m.Totals()
	for key, got := range map[string]uint64{
		"VmSize": t.TotalVM, "VmData": t.DataVM, "VmStk": t.StackVM, "VmLck": t.LockedVM,
	} {
		if want := l.status(key); got != want {
			l.t.Errorf("%s: the model has %d pages, the kernel %d", key, got, want)
		}
	}
	if want := l.status("VmExe") + l.status("VmLib"); t.ExecVM != want {
		l.t.Errorf("VmExe+VmLib: the model has %d pages, the kernel %d", t.ExecVM, want)
	}
}
