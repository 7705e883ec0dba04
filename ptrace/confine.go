package ptrace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
)

// confinement is a seccomp(2) that a thread makes for us, by which all threads of its group get one
// more filter. The filter is handed over in memory of the program that nothing uses while it is there:
// behind the last code of the vdso, where the kernel has the section headers that no loader reads.
// What lies below a stack pointer is not free in every program (goroutines have small stacks, one
// beside the other), and a mapping of ours would be in the program's way.
type confinement struct {
	regs    unix.PtraceRegs // what the thread gets back
	mask    uint64          // and its signal mask
	masked  bool
	scratch uint64
	old     []byte // what was at scratch
	entered bool   // the call's entry has been seen
	args    [6]uint64
}

// Confine has thread tid load a filter for all threads of its group before it goes on. It may be
// called by Handler.SyscallExit only, about its own thread. What seccomp(2) returned is reported to
// SyscallExit, as the end of a call of that number.
func (t *Tracer) Confine(tid int, filter []byte) {
	t.mu.Lock()
	th := t.threads[tid]
	t.mu.Unlock()
	if th != nil {
		th.wanted = filter
	}
}

// confinementRequest waits for its turn: there is one place for a filter in an address space.
type confinementRequest struct {
	th      *thread
	filter  []byte
	atEntry bool
}

// confineGroup has th load the filter, after those that asked before.
func (t *Tracer) confineGroup(th *thread, filter []byte, atEntry bool) {
	t.confinements = append(t.confinements, confinementRequest{th, filter, atEntry})
	t.nextConfinement()
}

// nextConfinement begins what has waited longest, if none is on its way.
func (t *Tracer) nextConfinement() {
	for t.confiner == nil && len(t.confinements) > 0 {
		r := t.confinements[0]
		t.confinements = t.confinements[1:]
		t.mu.Lock()
		lives := t.threads[r.th.tid] == r.th
		t.mu.Unlock()
		switch {
		case !lives:
		case r.atEntry:
			t.confineAtEntry(r.th, r.filter)
		default:
			t.confineAtExit(r.th, r.filter)
		}
	}
}

// endConfinement lets the next one begin if the thread whose turn it is has ended.
func (t *Tracer) endConfinement() {
	if t.confiner == nil {
		return
	}
	t.mu.Lock()
	lives := t.threads[t.confiner.tid] == t.confiner
	t.mu.Unlock()
	if !lives || t.confiner.confining == nil {
		t.confiner = nil
		t.nextConfinement()
	}
}

// confineAtEntry makes seccomp(2) of the call at whose entry the thread stands.
func (t *Tracer) confineAtEntry(th *thread, filter []byte) {
	c := new(confinement)
	if !t.ok("PTRACE_GETREGS", th.tid, getRegs(th.tid, &c.regs)) {
		return
	}
	// Afterwards the call begins again.
	const insnSize = 2 // of the syscall instruction
	regs := c.regs
	c.regs.Rax, c.regs.Orig_rax, c.regs.Rip = th.call.Nr, ^uint64(0), th.call.IP-insnSize
	if err := t.lend(th, c, filter); err != nil {
		t.confined(th, c, -int64(unix.ENOMEM))
		return
	}
	regs.Orig_rax = unix.SYS_SECCOMP
	setArgs(&regs, c.args)
	c.entered = true
	if t.ok("PTRACE_SETREGS", th.tid, setRegs(th.tid, &regs)) {
		th.confining, th.toExit, t.confiner = c, true, th
		t.resume(th, 0)
	}
}

// confineAtExit makes seccomp(2) after the call at whose exit the thread stands. It has to leave the
// kernel for that, and no signal handler may run in between.
func (t *Tracer) confineAtExit(th *thread, filter []byte) {
	c := new(confinement)
	if !t.ok("PTRACE_GETREGS", th.tid, getRegs(th.tid, &c.regs)) {
		return
	}
	if err := t.lend(th, c, filter); err != nil {
		t.confined(th, c, -int64(unix.ENOMEM))
		return
	}
	if !t.blockSignals(th, &c.mask) {
		return
	}
	c.masked = true
	if t.sendBack(th, c.regs, th.call.IP, unix.SYS_SECCOMP, c.args) {
		th.confining, th.toExit, t.confiner = c, true, th
		t.resume(th, 0)
	}
}

func setArgs(regs *unix.PtraceRegs, a [6]uint64) {
	regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8, regs.R9 = a[0], a[1], a[2], a[3], a[4], a[5]
}

// confineStop handles a system call stop of a thread that is confining its group.
func (t *Tracer) confineStop(th *thread) {
	c := th.confining
	if !c.entered {
		c.entered = true
		t.resume(th, 0)
		return
	}
	var ret uint64
	if !t.ok("read a result", th.tid, peekUser(th.tid, offRax, &ret)) {
		return
	}
	th.confining, th.toExit = nil, false
	t.confined(th, c, int64(ret))
	t.endConfinement()
}

// confined gives the thread back what it had, reports what became of it, and lets it go on.
func (t *Tracer) confined(th *thread, c *confinement, ret int64) {
	if c.masked && !t.ok("PTRACE_SETSIGMASK", th.tid, signalMask(unix.PTRACE_SETSIGMASK, th.tid, &c.mask)) ||
		!t.ok("PTRACE_POKEDATA", th.tid, pokeData(th.tid, c.scratch, c.old)) ||
		!t.ok("PTRACE_SETREGS", th.tid, setRegs(th.tid, &c.regs)) {
		return
	}
	t.handler.SyscallExit(th.tid, &Syscall{Nr: unix.SYS_SECCOMP, Args: c.args, IP: th.call.IP, Mechanism: Stop}, ret)
	t.setState(th, running)
	t.resume(th, 0)
}

// errNoRoom says that the program has no vdso, or one without room.
var errNoRoom = errors.New("no room for a filter")

// lend puts struct sock_fprog and the filter where the program does not look, and makes the call's
// arguments.
func (t *Tracer) lend(th *thread, c *confinement, filter []byte) error {
	const header = 16 // struct sock_fprog
	size := header + len(filter)
	addr, err := spareMemory(th.tid, size)
	if err != nil {
		return err
	}
	old := make([]byte, size)
	if err := ReadMemory(th.tid, addr, old); err != nil {
		return err
	}
	prog := make([]byte, header, size)
	binary.NativeEndian.PutUint16(prog, uint16(len(filter)/8))
	binary.NativeEndian.PutUint64(prog[8:], addr+header)
	if errno := pokeData(th.tid, addr, append(prog, filter...)); errno != 0 {
		return errno
	}
	c.scratch, c.old = addr, old
	c.args = [6]uint64{unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, addr}
	return nil
}

// spareMemory returns the address of n bytes at the end of the thread's vdso, behind all that its ELF
// program headers name: its section headers and the rest of its last page.
func spareMemory(tid, n int) (uint64, error) {
	maps, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/maps")
	if err != nil {
		return 0, err
	}
	at := bytes.Index(maps, []byte(" [vdso]"))
	if at < 0 {
		return 0, errNoRoom
	}
	line := maps[bytes.LastIndexByte(maps[:at], '\n')+1 : at]
	bounds, _, _ := bytes.Cut(line, []byte(" "))
	low, high, _ := bytes.Cut(bounds, []byte("-"))
	start, err1 := strconv.ParseUint(string(low), 16, 64)
	end, err2 := strconv.ParseUint(string(high), 16, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	var elf [64]byte // Elf64_Ehdr
	if err := ReadMemory(tid, start, elf[:]); err != nil {
		return 0, err
	}
	sections := binary.NativeEndian.Uint64(elf[40:])
	addr := (end - uint64(n)) &^ 15
	if string(elf[:4]) != "\x7fELF" || sections == 0 || sections > end-start || addr < start+sections {
		return 0, errNoRoom
	}
	return addr, nil
}

// pokeData writes memory that the program itself may not be able to write: the page becomes its own.
// len(b) is a multiple of 8.
func pokeData(tid int, addr uint64, b []byte) unix.Errno {
	for ; len(b) >= 8; addr, b = addr+8, b[8:] {
		word := binary.NativeEndian.Uint64(b)
		if errno := request(unix.PTRACE_POKEDATA, tid, uintptr(addr), uintptr(word)); errno != 0 {
			return errno
		}
	}
	return 0
}

func signalMask(req, tid int, mask *uint64) unix.Errno {
	return request(req, tid, unsafe.Sizeof(*mask), uintptr(unsafe.Pointer(mask)))
}

// ours reports whether a SECCOMP stop is of a call that we have made the thread make.
func (th *thread) ours(info *syscallInfo) bool {
	return th.confining != nil && info.nr == unix.SYS_SECCOMP && uint32(info.data) == seccomp.TraceData
}
