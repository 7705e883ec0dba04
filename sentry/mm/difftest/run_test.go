//go:build linux && amd64

package difftest

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"golang.org/x/sys/unix"
)

// setLimit stands for a change of the guest's limits: AS, Data and MemLock in bytes.
const setLimit = 1 << 21

// op is one call, replayable.
type op struct {
	nr   uint64
	args [6]uint64
}

func (o op) String() string {
	name := linux.SyscallName(o.nr)
	if o.nr == setLimit {
		name = "limits"
	}
	return fmt.Sprintf("%s(%#x, %#x, %#x, %#x, %#x, %#x)", name, o.args[0], o.args[1], o.args[2], o.args[3], o.args[4], o.args[5])
}

// world is what all runs of a test share.
type world struct {
	path  string
	cfg   *mm.Config
	host  []*os.File // descriptors 3, 4, ... of the guests
	files []*mm.File
	segs  []*mm.File // SysV segments; Ino is the identifier
}

// newWorld builds the guest and opens what it maps.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{path: buildGuest(t), cfg: config()}
	path := filepath.Join(filepath.Dir(w.path), "file")
	if err := os.WriteFile(path, make([]byte, 16*hostarch.PageSize), 0o666); err != nil {
		t.Fatal(err)
	}
	open := func(path string, mode int, f mm.File) {
		h, err := os.OpenFile(path, mode, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.addFile(t, h, f)
	}
	var fs unix.Statfs_t
	unix.Statfs(path, &fs)
	thpArea := fs.Type == unix.EXT4_SUPER_MAGIC || fs.Type == unix.XFS_SUPER_MAGIC || fs.Type == unix.BTRFS_SUPER_MAGIC
	open(path, os.O_RDWR, mm.File{Readable: true, Writable: true, THPArea: thpArea, Size: 16 * hostarch.PageSize})
	open(path, os.O_RDONLY, mm.File{Readable: true, THPArea: thpArea, Size: 16 * hostarch.PageSize})
	open("/dev/zero", os.O_RDWR, mm.File{Kind: mm.DevZero, Readable: true, Writable: true})
	for _, seals := range []uint32{0, linux.F_SEAL_FUTURE_WRITE} {
		fd, err := unix.MemfdCreate("diff", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		if err != nil {
			t.Fatal(err)
		}
		unix.Ftruncate(fd, 64*hostarch.PageSize)
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, int(seals)); err != nil {
			t.Fatal(err)
		}
		w.addFile(t, os.NewFile(uintptr(fd), "memfd"), mm.File{Kind: mm.Shmem, Name: "/memfd:diff (deleted)",
			Readable: true, Writable: true, Seals: seals, Size: 64 * hostarch.PageSize})
	}
	for _, size := range []uint64{5*hostarch.PageSize + 1, 2 << 20} {
		id, err := unix.SysvShmGet(unix.IPC_PRIVATE, int(size), unix.IPC_CREAT|0o777)
		if err != nil {
			t.Fatal(err)
		}
		// Attached here and marked for removal, it can be attached further, and is gone with us.
		own, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
		unix.SysvShmCtl(id, unix.IPC_RMID, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.SysvShmDetach(own) })
		w.segs = append(w.segs, &mm.File{Kind: mm.SysV, Size: size, Dev: 1, Ino: uint64(id)})
	}
	return w
}

func (w *world) addFile(t *testing.T, h *os.File, f mm.File) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(h.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	f.Dev, f.Ino = st.Dev, st.Ino
	w.host, w.files = append(w.host, h), append(w.files, &f)
	t.Cleanup(func() { h.Close() })
}

// run is one guest and the model of it.
type run struct {
	w         *world
	g         *guest
	m         *mm.MemoryManager
	c         mm.Caller
	hard      limits.Rlimits
	protected []hostarch.AddrRange // the guest's own memory
	log       []string
	unsure    int
	stats     map[string]int
	vmas      []kernelVMA
}

// start starts a guest and seeds the model from it.
func (w *world) start(privileged bool) (*run, error) {
	g, err := startGuest(w.path, privileged, w.host)
	if err != nil {
		return nil, err
	}
	r := &run{w: w, g: g, m: mm.New(w.cfg), stats: map[string]int{}}
	if privileged {
		r.c.Creds = mm.Creds{IPCLock: true, SysRawIO: true, SysResource: true, SysAdmin: true, SysNice: true}
	}
	r.c.Limits.DataMax = linux.RLIM_INFINITY
	if r.c.Limits, err = hardLimits(); err != nil {
		return nil, err
	}
	r.hard = r.c.Limits
	if err := g.setLimits(r.c.Limits); err != nil {
		return nil, err
	}
	list, err := readVMAs(g.pid)
	if err != nil {
		return nil, err
	}
	info := mm.SeedInfo{NoRandomize: true, StackLimit: r.c.Limits.Stack}
	if info.StartData, info.EndData, info.StartBrk, err = heapOf(g.pid); err != nil {
		return nil, err
	}
	info.Brk = info.StartBrk
	if err := r.m.Seed(entries(list), info); err != nil {
		return nil, err
	}
	r.m.AssumeUntouched()
	for _, v := range list {
		r.protected = append(r.protected, v.Range)
	}
	r.vmas = list
	return r, nil
}

// safe reports whether a call on [addr, addr+length) leaves the guest's own memory alone.
func (r *run) safe(addr, length uint64) bool {
	end := addr + hostarch.PageAlign(length)
	if end < addr {
		return true // nobody accepts that
	}
	for _, p := range r.protected {
		if uint64(p.Start) < end && addr < uint64(p.End) {
			return false
		}
	}
	return true
}

// allowed reports whether the guest survives the call.
func (r *run) allowed(o *op) bool {
	a := &o.args
	switch o.nr {
	case linux.SYS_MMAP:
		return a[3]&(linux.MAP_FIXED) == 0 || r.safe(a[0], a[1]+2<<20)
	case linux.SYS_MREMAP:
		return r.safe(a[0], max(a[1], a[2])) && r.safe(a[4], a[2])
	case linux.SYS_SHMAT:
		return a[1] == 0 || r.safe(a[1]&^4095, 2<<20)
	case linux.SYS_MUNMAP, linux.SYS_MPROTECT, linux.SYS_MADVISE, linux.SYS_REMAP_FILE_PAGES, linux.SYS_MSEAL:
		return r.safe(a[0], a[1])
	case linux.SYS_SHMDT:
		return true
	}
	return true
}

// step makes one call on both sides and returns how they differ, or "".
func (r *run) step(o op) string {
	if !r.allowed(&o) {
		return ""
	}
	if o.nr == setLimit {
		l, a := &r.c.Limits, &o.args
		l.AS, l.Data, l.MemLock = min(a[0], r.hard.AS), min(a[1], r.hard.Data), min(a[2], r.hard.MemLock)
		if err := r.g.setLimits(r.c.Limits); err != nil {
			return err.Error()
		}
		r.log = append(r.log, o.String())
		return ""
	}
	before := r.m.Snapshot()
	res := r.model(&o)
	ret, err := r.host(&o)
	if err != nil {
		return fmt.Sprintf("%v: the guest died: %v", o, err)
	}
	r.log = append(r.log, fmt.Sprintf("%v = %s (model %s)", o, outcome(ret), modelOutcome(res)))
	r.stats[linux.SyscallName(o.nr)]++
	if r.vmas, err = readVMAs(r.g.pid); err != nil {
		return err.Error()
	}
	switch {
	case res.Unsure:
		r.unsure++
		r.adopt(&o, ret)
	case ret < 0 && ret > -4096:
		if res.Errno != linux.Errno(-ret) {
			return "the answers differ"
		}
	case res.Errno != 0 || uint64(res.Addr) != uint64(ret):
		return "the answers differ"
	}
	if err := r.m.CheckInvariants(); err != nil {
		return err.Error()
	}
	if d := compareVMAs(r.m, r.vmas); d != "" {
		return d
	}
	if res.Errno != 0 && !res.Partial && !sameVMAs(r.m, before, r.w.cfg) {
		return "a refused call changed the model without saying so"
	}
	return compareTotals(r.m.Totals(), r.g.pid)
}

// sameVMAs reports whether the VMAs are those of the snapshot.
func sameVMAs(m *mm.MemoryManager, s mm.Snapshot, cfg *mm.Config) bool {
	old := mm.New(cfg)
	old.Restore(s)
	type vma struct {
		r hostarch.AddrRange
		f mm.Flags
	}
	var a, b []vma
	for r, v := range m.All() {
		a = append(a, vma{r, v.Flags})
	}
	for r, v := range old.All() {
		b = append(b, vma{r, v.Flags})
	}
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// host makes the call in the guest, whose pointers are put into its scratch page.
func (r *run) host(o *op) (int64, error) {
	a := o.args
	switch o.nr {
	case linux.SYS_MMAP:
		// The descriptor is stored as an index plus one.
		if a[4] == 0 {
			a[4] = math.MaxUint64
		} else {
			a[4] += 2
		}
	case linux.SYS_IO_SETUP:
		if _, err := r.g.call(poke, r.g.scratch, 0); err != nil {
			return 0, err
		}
		a[1] = r.g.scratch
	case linux.SYS_MBIND:
		if _, err := r.g.call(poke, r.g.scratch, 1); err != nil {
			return 0, err
		}
		a[3], a[4] = 0, 0
		if mode := a[2] & 0xff; mode != 0 && mode != 4 {
			a[3], a[4] = r.g.scratch, 64
		}
	}
	return r.g.call(o.nr, a[:]...)
}

// model makes the call on the model.
func (r *run) model(o *op) mm.Result {
	m, c, a := r.m, &r.c, &o.args
	addr := hostarch.Addr(a[0])
	switch o.nr {
	case linux.SYS_MMAP:
		return m.MMap(c, r.mmapArgs(o))
	case linux.SYS_MUNMAP:
		return m.MUnmap(c, addr, a[1])
	case linux.SYS_MPROTECT:
		return m.MProtect(c, addr, a[1], a[2], -1)
	case linux.SYS_BRK:
		return m.Brk(c, addr)
	case linux.SYS_MREMAP:
		return m.MRemap(c, addr, a[1], a[2], a[3], hostarch.Addr(a[4]))
	case linux.SYS_MADVISE:
		return m.MAdvise(c, addr, a[1], int(int32(a[2])))
	case linux.SYS_MLOCK:
		return m.MLock(c, addr, a[1], 0)
	case linux.SYS_MLOCK2:
		return m.MLock(c, addr, a[1], a[2])
	case linux.SYS_MUNLOCK:
		return m.MUnlock(c, addr, a[1])
	case linux.SYS_MLOCKALL:
		return m.MLockAll(c, a[0])
	case linux.SYS_MUNLOCKALL:
		return m.MUnlockAll(c)
	case linux.SYS_MSYNC:
		return m.MSync(c, addr, a[1], a[2])
	case linux.SYS_REMAP_FILE_PAGES:
		return m.RemapFilePages(c, addr, a[1], a[2], a[3], a[4])
	case linux.SYS_SHMAT:
		return m.ShmAt(c, r.segment(a[0]), hostarch.Addr(a[1]), a[2])
	case linux.SYS_SHMDT:
		return m.ShmDt(c, addr)
	case linux.SYS_MSEAL:
		return m.MSeal(c, addr, a[1], a[2])
	case linux.SYS_MAP_SHADOW_STACK:
		return m.MapShadowStack(c, addr, a[1], a[2])
	case linux.SYS_MBIND:
		return m.MBind(c, addr, a[1], a[2], a[2]&0xff, a[5])
	case linux.SYS_SET_MEMPOLICY_HOME_NODE:
		return m.SetMempolicyHomeNode(c, addr, a[1], a[2], a[3])
	case linux.SYS_IO_SETUP:
		res := m.IoSetup(c, uint32(a[0]))
		res.Addr = 0
		return res
	case linux.SYS_IO_DESTROY:
		return m.IoDestroy(addr)
	case linux.SYS_PRCTL:
		return r.prctl(a)
	}
	panic("no such call")
}

func (r *run) prctl(a *[6]uint64) mm.Result {
	m := r.m
	switch a[0] {
	case linux.PR_SET_MDWE:
		return m.SetMDWE(a[1], a[2], a[3], a[4])
	case linux.PR_GET_MDWE:
		return m.GetMDWE(a[1], a[2], a[3], a[4])
	case linux.PR_SET_MEMORY_MERGE:
		return m.SetMemoryMerge(a[1], a[2], a[3], a[4])
	case linux.PR_GET_MEMORY_MERGE:
		return m.GetMemoryMerge(a[1], a[2], a[3], a[4])
	case linux.PR_SET_THP_DISABLE:
		return m.SetTHPDisable(a[1], a[2], a[3], a[4])
	case linux.PR_SET_VMA:
		return m.SetAnonName(&r.c, hostarch.Addr(a[2]), a[3], "name")
	}
	panic("no such prctl")
}

// adopt tells the model what the host answered.
func (r *run) adopt(o *op, ret int64) {
	m, c, a := r.m, &r.c, &o.args
	ok := ret >= 0 || ret <= -4096
	addr := hostarch.Addr(a[0])
	switch o.nr {
	case linux.SYS_MMAP:
		if ok {
			m.Adopt(c, r.mmapArgs(o), hostarch.Addr(ret))
		}
	case linux.SYS_SHMAT:
		if ok {
			m.AdoptShmAt(c, r.segment(a[0]), hostarch.Addr(ret), a[2])
		}
	case linux.SYS_MREMAP:
		if ok {
			m.AdoptMRemap(c, addr, a[1], a[2], a[3], hostarch.Addr(a[4]), hostarch.Addr(ret))
		}
	case linux.SYS_MADVISE:
		m.AdoptMAdvise(c, addr, a[1], int(int32(a[2])))
	case linux.SYS_REMAP_FILE_PAGES:
		if ok {
			m.AdoptRemapFilePages(c, addr, a[1], a[2], a[3], a[4])
		}
	case linux.SYS_MBIND:
		errno := linux.Errno(0)
		if !ok {
			errno = linux.Errno(-ret)
		}
		m.AdoptMBind(c, addr, a[1], a[2], a[2]&0xff, a[5], errno)
	case linux.SYS_IO_DESTROY:
		if _, v, found := m.Find(addr); ok && found && v.File != nil {
			m.AdoptIoDestroy(addr, v.File.Size)
		}
	case linux.SYS_MLOCK:
		m.AdoptMLock(c, addr, a[1], 0)
	case linux.SYS_MLOCK2:
		m.AdoptMLock(c, addr, a[1], a[2])
	}
}

func (r *run) mmapArgs(o *op) mm.MMapArgs {
	a := &o.args
	args := mm.MMapArgs{Addr: hostarch.Addr(a[0]), Length: a[1], Prot: a[2], Flags: a[3], Offset: a[5]}
	if a[4] != 0 && a[3]&linux.MAP_ANONYMOUS == 0 {
		args.File = r.w.files[a[4]-1]
	}
	return args
}

func (r *run) segment(id uint64) *mm.File {
	for _, s := range r.w.segs {
		if s.Ino == id {
			return s
		}
	}
	panic("no such segment")
}

func outcome(ret int64) string {
	if ret < 0 && ret > -4096 {
		return linux.Errno(-ret).Name()
	}
	return fmt.Sprintf("%#x", ret)
}

func modelOutcome(r mm.Result) string {
	var s string
	switch {
	case r.Unsure:
		s = "unsure"
	case r.Errno != 0:
		s = r.Errno.Name()
	default:
		s = r.Addr.String()
	}
	if r.Partial {
		s += ", partial"
	}
	if r.Refusal != nil {
		s += ", " + r.Refusal.Error()
	}
	return s
}

// dump prints both lists.
func (r *run) dump() string {
	var b strings.Builder
	b.WriteString("model:\n")
	for g, v := range r.m.All() {
		fmt.Fprintf(&b, "  %v%s off %x anon %d\n", g, flagString(v.Flags), v.PgOff, v.Anon.ID)
	}
	b.WriteString("kernel:\n")
	for _, k := range r.vmas {
		fmt.Fprintf(&b, "  %v%s off %x %s\n", k.Range, k.flags, k.Offset>>12, k.Name)
	}
	return b.String()
}
