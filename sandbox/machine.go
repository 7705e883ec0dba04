package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/procmaps"
)

// machine is the kernel.Host of the real machine. It looks at tasks through /proc, by thread id
// (a leader that has ended shows nothing of the threads that live on). Not safe for concurrent
// use: its buffers are reused.
type machine struct {
	buf     []byte
	entries []procmaps.Entry

	inodes     inodes
	memoryDevs map[uint64]int64 // device numbers of filesystems in memory, and their types

	code *code // nil where nothing needs to be known of it
}

// procPath returns /proc/TID/name.
func procPath(tid int, name string) string {
	return "/proc/" + strconv.Itoa(tid) + "/" + name
}

// dying reports whether the thread is past the point where it can return to its program: it has
// been killed, or is exiting.
func dying(tid int) bool {
	b, err := os.ReadFile(procPath(tid, "stat"))
	if err != nil {
		return true
	}
	const (
		flagsField  = 9 - 3 // of proc(5), counted from the state, which follows the name
		pfExiting   = 0x4
		pfSignaled  = 0x400
		zombieState = 'Z'
		deadState   = 'X'
	)
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) <= flagsField || fields[0][0] == zombieState || fields[0][0] == deadState {
		return true
	}
	flags, err := strconv.ParseUint(string(fields[flagsField]), 10, 64)
	return err != nil || flags&(pfExiting|pfSignaled) != 0
}

// currentSyscall returns the number of the system call that a stopped thread is in, or -1.
func currentSyscall(tid int) int {
	b, err := os.ReadFile(procPath(tid, "syscall"))
	if err != nil {
		return -1
	}
	word, _, _ := bytes.Cut(b, []byte(" "))
	nr, err := strconv.Atoi(string(word))
	if err != nil {
		return -1
	}
	return nr
}

// stackPointer returns the stack pointer of a thread that waits in a system call, or 0.
func stackPointer(tid int) uint64 {
	b, err := os.ReadFile(procPath(tid, "syscall"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b)) // number, six arguments, stack pointer, instruction pointer
	if len(fields) != 9 {
		return 0
	}
	sp, _ := strconv.ParseUint(fields[7], 0, 64)
	return sp
}

// ownNumber returns the process's id as it is in its own namespace of process ids; 0 when that is not
// known.
func ownNumber(pid int) int {
	b, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		return 0
	}
	ids := strings.Fields(statusField(string(b), "NSpid"))
	if len(ids) == 0 {
		return 0
	}
	own, _ := strconv.Atoi(ids[len(ids)-1])
	return own
}

// HasLeft implements kernel.Host. The number is shown only of a thread that sleeps.
func (m *machine) HasLeft(t *kernel.Task, nr uint64) bool {
	now := currentSyscall(t.TID)
	return now >= 0 && uint64(now) != nr
}

// read reads a file of /proc whole into the reused buffer.
func (m *machine) read(tid int, name string) ([]byte, error) {
	fd, err := unix.Open(procPath(tid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, m.looked("open", tid, name, err)
	}
	defer unix.Close(fd)
	if m.buf == nil {
		m.buf = make([]byte, 32<<10)
	}
	n := 0
	for {
		if n == len(m.buf) {
			m.buf = append(m.buf, make([]byte, len(m.buf))...)
		}
		got, err := unix.Read(fd, m.buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, m.looked("read", tid, name, err)
		}
		if got == 0 {
			return m.buf[:n], nil
		}
		n += got
	}
}

// looked is the error of a look at a task.
func (m *machine) looked(op string, tid int, name string, err error) error {
	if errors.Is(err, unix.ESRCH) {
		err = fmt.Errorf("%w (%w)", kernel.ErrGone, err)
	}
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w (%w)", kernel.ErrHidden, err)
	}
	return fmt.Errorf("%s %s: %w", op, procPath(tid, name), err)
}

// Maps implements kernel.Host. The result is valid until the next call.
func (m *machine) Maps(t *kernel.Task) ([]procmaps.Entry, error) {
	b, err := m.read(t.TID, "maps")
	if err != nil {
		return nil, err
	}
	if m.entries, err = procmaps.AppendParse(m.entries[:0], b); err != nil {
		return nil, err
	}
	// The list of a task that is killed meanwhile ends early, without an error. If the task still
	// has an address space after the list was read, all of it was there.
	if !hasMappings(t.TID) {
		return nil, fmt.Errorf("read %s: %w", procPath(t.TID, "maps"), kernel.ErrGone)
	}
	return m.entries, nil
}

// hasMappings reports whether the task still has an address space.
func hasMappings(tid int) bool {
	fd, err := unix.Open(procPath(tid, "maps"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var b [1]byte
	n, err := unix.Read(fd, b[:])
	return n == 1 && err == nil
}

// Limit implements kernel.Host.
func (m *machine) Limit(t *kernel.Task, resource limits.Resource) (soft, hard uint64, err error) {
	var r unix.Rlimit
	switch resource {
	case limits.AS:
		r, err = m.limit(t, unix.RLIMIT_AS)
	case limits.Data:
		r, err = m.limit(t, unix.RLIMIT_DATA)
	case limits.Stack:
		r, err = m.limit(t, unix.RLIMIT_STACK)
	case limits.MemLock:
		r, err = m.limit(t, unix.RLIMIT_MEMLOCK)
	default:
		panic("no resource limit bounds " + string(resource))
	}
	return r.Cur, r.Max, err
}

// limitNames are the names in /proc/PID/limits.
var limitNames = map[int]string{
	unix.RLIMIT_AS: "Max address space", unix.RLIMIT_DATA: "Max data size",
	unix.RLIMIT_STACK: "Max stack size", unix.RLIMIT_MEMLOCK: "Max locked memory",
	unix.RLIMIT_FSIZE: "Max file size",
}

func (m *machine) limit(t *kernel.Task, resource int) (r unix.Rlimit, err error) {
	err = unix.Prlimit(t.TID, resource, nil, &r)
	if err == unix.EPERM {
		// It is another user's, and we lack CAP_SYS_RESOURCE: /proc shows it to everybody.
		r, err = m.shownLimit(t.TID, limitNames[resource])
	}
	if err != nil {
		err = fmt.Errorf("limits of thread %d: %w", t.TID, err)
	}
	return r, err
}

// shownLimit returns a limit by its name in /proc/TID/limits.
func (m *machine) shownLimit(tid int, name string) (r unix.Rlimit, err error) {
	b, err := m.read(tid, "limits")
	if err != nil {
		return r, err
	}
	_, rest, _ := bytes.Cut(b, []byte(name))
	fields := bytes.Fields(rest) // soft, hard, unit; then the next limit
	if len(fields) < 2 {
		return r, fmt.Errorf("no %q in %s", name, procPath(tid, "limits"))
	}
	for i, to := range []*uint64{&r.Cur, &r.Max} {
		if string(fields[i]) == "unlimited" {
			*to = linux.RLIM_INFINITY
		} else if *to, err = strconv.ParseUint(string(fields[i]), 10, 64); err != nil {
			return r, err
		}
	}
	return r, nil
}

// Capability numbers (include/uapi/linux/capability.h).
const (
	capIPCLock     = 14
	capIPCOwner    = 15
	capSysRawIO    = 17
	capSysAdmin    = 21
	capSysNice     = 23
	capSysResource = 24
)

// initUserNS is the machine's first user namespace (PROC_USER_INIT_INO).
const initUserNS = "user:[4026531837]"

// Creds implements kernel.Host.
func (m *machine) Creds(t *kernel.Task) (mm.Creds, error) {
	b, err := m.read(t.TID, "status")
	if err != nil {
		return mm.Creds{}, err
	}
	_, rest, ok := bytes.Cut(b, []byte("\nCapEff:\t"))
	if !ok || len(rest) < 16 {
		return mm.Creds{}, fmt.Errorf("%s: no CapEff", procPath(t.TID, "status"))
	}
	caps, err := strconv.ParseUint(string(rest[:16]), 16, 64)
	if err != nil {
		return mm.Creds{}, err
	}
	if caps != 0 {
		// Those in a user namespace of its own decide nothing about memory (capable()).
		ns, err := os.Readlink(procPath(t.TID, "ns/user"))
		if err != nil {
			return mm.Creds{}, m.looked("readlink", t.TID, "ns/user", err)
		}
		if ns != initUserNS {
			caps = 0
		}
	}
	has := func(c uint) bool { return caps>>c&1 != 0 }
	return mm.Creds{
		IPCLock: has(capIPCLock), SysRawIO: has(capSysRawIO), SysResource: has(capSysResource),
		SysAdmin: has(capSysAdmin), SysNice: has(capSysNice),
	}, nil
}

// Places among the fields of /proc/PID/stat that follow the program's name: field 45 and on of
// proc(5), counted from field 3.
const (
	statStartData = 45 - 3
	statEndData   = 46 - 3
	statStartBrk  = 47 - 3
)

// Image implements kernel.Host.
func (m *machine) Image(t *kernel.Task) (kernel.Image, error) {
	var img kernel.Image
	b, err := m.read(t.TID, "stat")
	if err != nil {
		return img, err
	}
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return img, fmt.Errorf("%s: no program name", procPath(t.TID, "stat"))
	}
	img.Name = string(b[open+1 : end])
	fields := bytes.Fields(b[end+1:])
	if len(fields) <= statStartBrk {
		return img, fmt.Errorf("%s: %d fields", procPath(t.TID, "stat"), len(fields))
	}
	for _, x := range [...]struct {
		field int
		to    *hostarch.Addr
	}{{statStartData, &img.StartData}, {statEndData, &img.EndData}, {statStartBrk, &img.StartBrk}} {
		v, err := strconv.ParseUint(string(fields[x.field]), 10, 64)
		if err != nil {
			return img, err
		}
		*x.to = hostarch.Addr(v)
	}
	if b, err = m.read(t.TID, "personality"); err != nil {
		return img, err
	}
	img.Trusted = m.trusted(t)
	img.Personality, err = strconv.ParseUint(string(bytes.TrimSpace(b)), 16, 64)
	return img, err
}

// Ranges implements kernel.Host.
func (m *machine) Ranges(t *kernel.Task, addr hostarch.Addr, n uint64) ([]hostarch.AddrRange, error) {
	if n == 0 {
		return nil, nil
	}
	const size = 16 // struct iovec
	b := make([]byte, n*size)
	got, err := unix.ProcessVMReadv(t.TID, []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}},
		[]unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}, 0)
	if err == nil && got != len(b) {
		err = unix.EFAULT
	}
	if err != nil {
		return nil, m.looked("process_vm_readv", t.TID, "", err)
	}
	ranges := make([]hostarch.AddrRange, n)
	for i := range ranges {
		iov := b[i*size:]
		ranges[i] = hostarch.Range(hostarch.Addr(binary.NativeEndian.Uint64(iov)), binary.NativeEndian.Uint64(iov[8:]))
	}
	return ranges, nil
}

// Segment implements kernel.Host.
func (m *machine) Segment(t *kernel.Task, id int32) (kernel.Segment, error) {
	var none kernel.Segment
	if err := m.sameIPC(t); err != nil {
		return none, err
	}
	var desc unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(int(id), unix.IPC_STAT, &desc); err != nil {
		if errno, ok := err.(unix.Errno); ok {
			return none, linux.Errno(errno)
		}
		return none, err
	}
	status, err := m.read(t.TID, "status")
	if err != nil {
		return none, err
	}
	// The segments are files of the kernel's own internal tmpfs, the first device without a
	// number that is made at boot.
	f := &mm.File{Kind: mm.SysV, Dev: 1, Ino: uint64(uint32(id)), Readable: true, Writable: true, Size: desc.Segsz}
	return kernel.Segment{File: f, Allowed: ipcAllowed(&desc.Perm, string(status)), MayBeHuge: hugePagesExist()}, nil
}

// ipcAllowed returns what of rwx a task with this /proc/PID/status may do with a System V object
// (ipcperms).
func ipcAllowed(p *unix.SysvIpcPerm, status string) uint32 {
	const effective = 1 // of the real, effective, saved and filesystem identity
	if caps, err := strconv.ParseUint(statusField(status, "CapEff"), 16, 64); err == nil && caps>>capIPCOwner&1 != 0 {
		return 7
	}
	id := func(name string) uint32 {
		if f := strings.Fields(statusField(status, name)); len(f) > effective {
			n, _ := strconv.ParseUint(f[effective], 10, 32)
			return uint32(n)
		}
		return 0
	}
	groups := append(strings.Fields(statusField(status, "Groups")), strconv.Itoa(int(id("Gid"))))
	in := func(gid uint32) bool { return slices.Contains(groups, strconv.Itoa(int(gid))) }
	mode := uint32(p.Mode)
	switch uid := id("Uid"); {
	case uid == p.Uid || uid == p.Cuid:
		mode >>= 6
	case in(p.Gid) || in(p.Cgid):
		mode >>= 3
	}
	return mode & 7
}

// hugePagesExist reports whether a pool has huge pages. Without, no segment of them can be used.
func hugePagesExist() bool {
	n, err := meminfo("Hugetlb")
	return err != nil || n != 0
}

// meminfo returns a value of /proc/meminfo, in bytes.
func meminfo(name string) (uint64, error) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	_, b, _ = bytes.Cut(b, []byte("\n"+name+":"))
	line, _, _ := bytes.Cut(b, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) == 0 {
		return 0, fmt.Errorf("/proc/meminfo has no %s", name)
	}
	kb, err := strconv.ParseUint(string(fields[0]), 10, 64)
	return kb << 10, err
}

// Segments implements kernel.Host.
func (m *machine) Segments(t *kernel.Task) (map[int32]kernel.SegmentInfo, error) {
	if t != nil {
		if err := m.sameIPC(t); err != nil {
			return nil, err
		}
	}
	b, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		return nil, err
	}
	return parseSegments(b)
}

// parseSegments parses /proc/sysvipc/shm.
func parseSegments(b []byte) (map[int32]kernel.SegmentInfo, error) {
	const shmid, size, cpid = 1, 3, 4 // columns
	all := make(map[int32]kernel.SegmentInfo)
	for i, line := range bytes.Split(bytes.TrimSpace(b), []byte("\n")) {
		f := bytes.Fields(line)
		if i == 0 || len(f) <= cpid {
			continue // the heading
		}
		id, err := strconv.ParseInt(string(f[shmid]), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("/proc/sysvipc/shm: %w", err)
		}
		bytes, err := strconv.ParseUint(string(f[size]), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("/proc/sysvipc/shm: %w", err)
		}
		creator, err := strconv.Atoi(string(f[cpid]))
		if err != nil {
			return nil, fmt.Errorf("/proc/sysvipc/shm: %w", err)
		}
		all[int32(id)] = kernel.SegmentInfo{Size: bytes, Creator: creator}
	}
	return all, nil
}

// sameIPC returns EINVAL where the task is in another IPC namespace than we are: its identifiers say
// nothing to us.
func (m *machine) sameIPC(t *kernel.Task) error {
	theirs, err := os.Readlink(procPath(t.TID, "ns/ipc"))
	if err != nil {
		return m.looked("readlink", t.TID, "ns/ipc", err)
	}
	if ours, err := os.Readlink("/proc/self/ns/ipc"); err != nil || ours != theirs {
		return linux.EINVAL
	}
	return nil
}

// SetStackLimit implements kernel.Host.
func (m *machine) SetStackLimit(t *kernel.Task, soft uint64) error {
	var l unix.Rlimit
	if err := unix.Prlimit(t.Group.TGID, unix.RLIMIT_STACK, nil, &l); err != nil {
		return m.looked("prlimit", t.Group.TGID, "", err)
	}
	l.Cur = min(soft, l.Max)
	if err := unix.Prlimit(t.Group.TGID, unix.RLIMIT_STACK, &l, nil); err != nil {
		return m.looked("prlimit", t.Group.TGID, "", err)
	}
	return nil
}

// Gone implements kernel.Host. A task that ends lets go of its address space first, and takes it down if it
// was the last to have it, which may last; then it gives up its descriptors, and its table has no size.
func (m *machine) Gone(t *kernel.Task) bool {
	b, err := m.read(t.TID, "status")
	return errors.Is(err, kernel.ErrGone) || errors.Is(err, unix.ENOENT) || err == nil && statusField(string(b), "FDSize") == "0"
}
