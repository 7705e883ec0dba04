//go:build linux && amd64

package mm

import (
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
)

// TestLiveSeed compares the totals after an exec with the kernel's, for a static and a dynamic
// program.
func TestLiveSeed(t *testing.T) {
	l := startLive(t, "root")
	l.checkTotals()
	l.compare("seed")

	cmd := exec.Command("sleep", "100")
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	// The thread that starts it is its tracer, and alone can wait for the stop at the end of exec:
	// Start returns while the new image is still being mapped.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &ws, 0, nil); err != nil || !ws.Stopped() {
		t.Fatalf("no stop at exec: %#x, %v", ws, err)
	}
	d := &live{t: t, cmd: cmd, pid: cmd.Process.Pid, strict: true}
	d.m = New(liveConfig())
	if err := d.m.Seed(d.readMaps(), SeedInfo{}); err != nil {
		t.Fatal(err)
	}
	d.checkTotals()
	d.compare("seed of sleep")
	if d.m.MmapBase() == 0 {
		t.Error("no mmap_base derived")
	}
}

// liveFile is a descriptor of the guest and what the model knows of it.
type liveFile struct {
	fd   int
	file *File
}

// liveFiles makes files of every kind.
func liveFiles(t *testing.T) (host []*os.File, guest []liveFile) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, make([]byte, 64<<12), 0o600); err != nil {
		t.Fatal(err)
	}
	add := func(f *os.File, file File) {
		var st syscall.Stat_t
		if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		file.Dev, file.Ino = st.Dev, st.Ino
		guest = append(guest, liveFile{3 + len(host), &file})
		host = append(host, f)
		t.Cleanup(func() { f.Close() })
	}
	open := func(path string, mode int) *os.File {
		f, err := os.OpenFile(path, mode, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	add(open(path, os.O_RDWR), File{Readable: true, Writable: true, THPArea: true})
	add(open(path, os.O_RDONLY), File{Readable: true, THPArea: true})
	add(open(path, os.O_WRONLY), File{Writable: true, THPArea: true})
	add(open(dir, os.O_RDONLY), File{Kind: Unmappable, Readable: true, MaxSize: math.MaxUint64})
	add(open("/dev/zero", os.O_RDWR), File{Kind: DevZero, Readable: true, Writable: true, MaxSize: math.MaxUint64})
	for _, seals := range []uint32{0, linux.F_SEAL_WRITE, linux.F_SEAL_FUTURE_WRITE} {
		name := []byte("mm\x00")
		fd, _, e := syscall.Syscall(319, uintptr(unsafe.Pointer(&name[0])), 2, 0) // memfd_create, MFD_ALLOW_SEALING
		if e != 0 {
			t.Fatal(e)
		}
		syscall.Ftruncate(int(fd), 64<<12)
		if _, _, e := syscall.Syscall(syscall.SYS_FCNTL, fd, 1033, uintptr(seals)); e != 0 { // F_ADD_SEALS
			t.Fatal(e)
		}
		add(os.NewFile(fd, "memfd"), File{Kind: Shmem, Name: "/memfd:mm (deleted)", Readable: true, Writable: true, Seals: seals})
	}
	return host, guest
}

// arena is a range of the guest that its runtime does not use.
const arena hostarch.Addr = 0x600000000000

// liveSeeds is how many random guests there are.
var liveSeeds = 4

// TestLiveRandom makes random calls in a guest and compares every answer, address, errno and list
// with the model's.
func TestLiveRandom(t *testing.T) {
	steps := 3000
	if testing.Short() {
		steps = 300
	}
	for seed := range liveSeeds {
		mode := []string{"root", "unprivileged", "fixed layout", "legacy layout"}[seed%4]
		t.Run(mode, func(t *testing.T) {
			host, guest := liveFiles(t)
			l := startLive(t, mode, host...)
			w := &walker{l: l, files: guest, r: rand.New(rand.NewPCG(uint64(seed), 7))}
			for range steps {
				l.m.Reconcile(l.readMaps()) // what the guest's runtime did
				w.step()
			}
			l.checkTotals()
		})
	}
}

// walker makes random calls.
type walker struct {
	l      *live
	files  []liveFile
	r      *rand.Rand
	ranges []hostarch.AddrRange // what it mapped outside the arena
	heap   hostarch.Addr        // the break when it started
}

func (w *walker) pages() uint64 {
	if w.r.IntN(12) == 0 {
		return uint64(1+w.r.IntN(4)) * 512
	}
	return 1 + w.r.Uint64N(6)
}

// place returns an address of the walker's own.
func (w *walker) place() hostarch.Addr {
	if len(w.ranges) > 0 && w.r.IntN(3) == 0 {
		r := w.ranges[w.r.IntN(len(w.ranges))]
		return r.Start + hostarch.Addr(w.r.Uint64N(r.Length())).RoundDown()
	}
	return arena + hostarch.Addr(w.r.Uint64N(48))<<hostarch.PageShift
}

// own cuts the length of a range at addr to what belongs to the walker.
func (w *walker) own(addr hostarch.Addr, pages uint64) uint64 {
	length := pages << hostarch.PageShift
	for _, r := range w.ranges {
		if r.Contains(addr) {
			return min(length, uint64(r.End-addr))
		}
	}
	return length
}

var someProt = []uint64{0, 1, 3, 5, 3, 1, 2, 4, 7}

func (w *walker) step() {
	switch n := w.r.IntN(20); {
	case n < 9:
		w.mmap()
	case n < 13:
		addr := w.place()
		w.l.munmap(addr, w.own(addr, w.pages()))
	case n < 18:
		addr := w.place()
		w.l.mprotect(addr, w.own(addr, w.pages()), someProt[w.r.IntN(len(someProt))])
	default:
		if w.heap == 0 {
			w.heap = w.l.m.brk // what lies below may be in use
		}
		delta := int64(w.r.IntN(9)-4) << hostarch.PageShift / 2
		w.l.brk(max(w.heap, w.l.m.brk+hostarch.Addr(delta)))
	}
}

func (w *walker) mmap() {
	a := MMapArgs{Length: w.pages() << hostarch.PageShift, Prot: someProt[w.r.IntN(len(someProt))]}
	a.Flags = []uint64{1, 2, 2, 2, 2, 3, 8}[w.r.IntN(7)]
	fd := -1
	if len(w.files) == 0 || w.r.IntN(2) == 0 {
		a.Flags |= linux.MAP_ANONYMOUS
	} else {
		f := w.files[w.r.IntN(len(w.files))]
		fd, a.File = f.fd, f.file
		a.Offset = w.r.Uint64N(8) << hostarch.PageShift
		if w.r.IntN(8) == 0 {
			a.Offset = 2 << 20
		}
	}
	for _, f := range []uint64{linux.MAP_NORESERVE, linux.MAP_STACK, linux.MAP_GROWSDOWN, linux.MAP_LOCKED, linux.MAP_SYNC, linux.MAP_32BIT, linux.MAP_ABOVE4G} {
		if w.r.IntN(25) == 0 && (f != linux.MAP_32BIT || !w.l.m.randomized) {
			a.Flags |= f
		}
	}
	if a.File != nil && a.File.Kind == Regular {
		a.Flags &^= linux.MAP_SYNC // filesystems differ
	}
	switch w.r.IntN(6) {
	case 0:
		a.Addr = w.place()
	case 1:
		a.Addr = w.place() + hostarch.Addr(w.r.Uint64N(4096))
	case 2, 3:
		a.Addr = w.place()
		a.Flags |= linux.MAP_FIXED
		a.Length = w.own(a.Addr, hostarch.Pages(a.Length))
	case 4:
		a.Addr = w.place()
		a.Flags |= linux.MAP_FIXED_NOREPLACE
	}
	if w.r.IntN(30) == 0 && a.Flags&linux.MAP_FIXED == 0 {
		a.Length += 5
	}
	res := w.l.mmap(a, fd)
	if res.Errno == 0 && (res.Addr < arena || res.Addr >= arena+1<<32) {
		w.ranges = append(w.ranges, hostarch.Range(res.Addr, hostarch.PageAlign(a.Length)))
		if len(w.ranges) > 40 {
			r := w.ranges[0]
			w.l.munmap(r.Start, r.Length())
			w.ranges = w.ranges[1:]
		}
	}
}

// TestLiveLimits makes random calls under tight limits.
func TestLiveLimits(t *testing.T) {
	for seed := range 3 {
		l := startLive(t, "unprivileged")
		w := &walker{l: l, r: rand.New(rand.NewPCG(uint64(seed), 11))}
		lim, tot := l.c.Limits, l.m.Totals()
		lim.AS = (tot.TotalVM + 700) << hostarch.PageShift
		lim.Data = (tot.DataVM+600)<<hostarch.PageShift + 123
		lim.MemLock = uint64(seed) * 40 << hostarch.PageShift
		l.setLimits(lim)
		for range 800 {
			l.m.Reconcile(l.readMaps())
			w.step()
		}
		l.checkTotals()
	}
}

// TestLiveRefused compares what is left of old mappings when the kernel refuses a new one over them, since it is
// more than the machine has; and what is faulted in that is not locked.
func TestLiveRefused(t *testing.T) {
	l := startLive(t, "root")
	if l.m.cfg.Overcommit != limits.Heuristic {
		t.Skip("everything is overcommitted, or nothing")
	}
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	l.m.cfg.Memory = hostarch.Pages((info.Totalram + info.Totalswap) * uint64(info.Unit))
	const tooMuch = 1 << 42
	for i, kind := range []uint64{linux.MAP_PRIVATE, linux.MAP_SHARED} {
		at := arena + hostarch.Addr(i)<<43
		flags := linux.MAP_ANONYMOUS | linux.MAP_FIXED | kind
		l.mmap(MMapArgs{Addr: at, Length: 8 * pg, Prot: rw, Flags: fixed}, -1)
		if res := l.mmap(MMapArgs{Addr: at + 4*pg, Length: tooMuch, Prot: rw, Flags: flags}, -1); res.Errno != linux.ENOMEM || !res.Partial {
			t.Errorf("more than there is: %+v", res)
		}
		l.checkTotals()
	}
	l.check(l.m.MLockAll(&l.c, linux.MCL_FUTURE), "mlockall", syscall.SYS_MLOCKALL, linux.MCL_FUTURE)
	droppable := func(page hostarch.Addr) {
		l.mmap(MMapArgs{Addr: arena + 64*pg + page*pg, Length: pg, Prot: rw,
			Flags: linux.MAP_DROPPABLE | linux.MAP_ANONYMOUS | linux.MAP_FIXED}, -1)
	}
	droppable(0)
	droppable(2)
	l.check(l.m.MUnlockAll(&l.c), "munlockall", syscall.SYS_MUNLOCKALL)
	droppable(1)
	l.checkTotals()
}

// TestLiveFork compares a forked child with the model's: which of its mappings take in new
// neighbours depends on what was written before the fork.
func TestLiveFork(t *testing.T) {
	for seed := range 10 {
		r := rand.New(rand.NewPCG(uint64(seed), 13))
		l := startLive(t, "root")
		l.m.untouched = false
		l.strict = false
		page := func(n uint64) hostarch.Addr { return arena + hostarch.Addr(n)<<hostarch.PageShift }
		const fixedAnon = linux.MAP_PRIVATE | linux.MAP_ANONYMOUS | linux.MAP_FIXED
		for range 8 {
			a := MMapArgs{Addr: page(r.Uint64N(40)), Length: (1 + r.Uint64N(4)) << hostarch.PageShift, Flags: fixedAnon}
			a.Prot = []uint64{0, 1, 3, 3, 7}[r.IntN(5)]
			if a.Prot != 0 && r.IntN(8) == 0 {
				a.Flags |= linux.MAP_LOCKED
			}
			l.mmap(a, -1)
			for n := uint64(0); a.Prot&linux.PROT_WRITE != 0 && n < a.Length; n += hostarch.PageSize {
				l.call(touch, uint64(a.Addr)+n)

			}
			l.m.Reconcile(l.readMaps())
		}
		l.mprotect(page(r.Uint64N(40)), 2<<hostarch.PageShift, 1)
		l.m.Reconcile(l.readMaps())

		l.m = l.m.Fork()
		l.pid = int(l.call(forkOn))
		l.strict = true
		l.compare("fork")
		l.checkTotals()
		for range 12 {
			a := MMapArgs{Addr: page(r.Uint64N(40)), Length: (1 + r.Uint64N(3)) << hostarch.PageShift, Flags: fixedAnon}
			a.Prot = []uint64{0, 1, 3, 3, 7}[r.IntN(5)]
			l.mmap(a, -1)
		}
	}
}
