package ptrace

import (
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// confine makes the stopped process give up the gaining of privileges, make the calls that are asked
// for, and load the filter, and starts the receiving of its notifications. The process's registers and
// memory are as before.
func (t *Tracer) confine(cfg *Config, link *fdLink) (err error) {
	in, err := t.newInjector()
	if err != nil {
		return err
	}
	defer func() {
		if rerr := in.restore(); err == nil {
			err = rerr
		}
	}()
	// EXITKILL has taken its place, and the program could see it.
	if _, err := in.call("prctl(PR_SET_PDEATHSIG)", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		return err
	}
	if _, err := in.call("prctl(PR_SET_NO_NEW_PRIVS)", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := t.prepare(in, cfg, link); err != nil {
		return err
	}
	fd, err := in.seccomp(cfg.Filter, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	if err != nil {
		return err
	}
	// From here on our own calls are under the filter as well.
	if t.listener, err = link.take(in, fd); err != nil {
		return err
	}
	t.startNotifications()
	if _, err := in.call("close", unix.SYS_CLOSE, fd); err != nil {
		return err
	}
	return link.closeTheirs(in)
}

// injector makes the stopped first process execute system calls of ours.
type injector struct {
	t     *Tracer
	pid   int
	regs  unix.PtraceRegs
	insn  uint64 // address of a syscall instruction in the process
	dirty []patch
	extra uint64 // address and length of a mapping of ours, when the stack has no room
	size  uint64
}

// patch is memory to be restored.
type patch struct {
	addr uint64
	old  []byte
}

func (t *Tracer) newInjector() (*injector, error) {
	in := &injector{t: t, pid: t.pid}
	if errno := getRegs(in.pid, &in.regs); errno != 0 {
		return nil, &Error{Op: "PTRACE_GETREGS", TID: in.pid, Err: errno}
	}
	if in.regs.Cs != userCS {
		// A 32-bit program: all its calls would be refused.
		return nil, &ExecError{Err: syscall.ENOEXEC}
	}
	var err error
	in.insn, err = findSyscallInsn(in.pid, in.regs.Rip)
	return in, err
}

// findSyscallInsn returns the address of a syscall instruction in the image: in the vdso, or
// failing that in the code about to run. Nothing is written, so no page becomes private.
func findSyscallInsn(pid int, rip uint64) (uint64, error) {
	var err error
	for _, start := range []uint64{vdso(pid), rip &^ 4095} {
		var page [4096]byte
		for addr := start; start != 0 && addr < start+64<<10; addr += uint64(len(page)) {
			if err = ReadMemory(pid, addr, page[:]); err != nil {
				break
			}
			for i := 0; i+1 < len(page); i++ {
				if page[i] == 0x0f && page[i+1] == 0x05 {
					return addr + uint64(i), nil
				}
			}
		}
	}
	if err == nil {
		err = errors.New("none in the image")
	}
	return 0, &Error{Op: "find a syscall instruction", TID: pid, Err: err}
}

// vdso returns the vdso's address from the auxiliary vector, or zero.
func vdso(pid int) uint64 {
	const atSysinfoEhdr = 33
	aux, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/auxv")
	if err != nil {
		return 0
	}
	for ; len(aux) >= 16; aux = aux[16:] {
		if binary.NativeEndian.Uint64(aux) == atSysinfoEhdr {
			return binary.NativeEndian.Uint64(aux[8:])
		}
	}
	return 0
}

// scratch returns the address of n bytes that the program does not use: on its new stack, below
// the 128 bytes under the stack pointer that the ABI reserves. The kernel maps 128 KB there,
// unless RLIMIT_STACK says otherwise; then a mapping is made, and undone by restore.
func (in *injector) scratch(n int) (uint64, error) {
	addr := (in.regs.Rsp - 256 - uint64(n)) &^ 15
	var b [1]byte
	if ReadMemory(in.pid, addr, b[:]) == nil {
		return addr, nil
	}
	if in.extra == 0 {
		const size = 64 << 10
		at, err := in.call("mmap", unix.SYS_MMAP, 0, size, unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uint64(0), 0)
		if err != nil {
			return 0, err
		}
		in.extra, in.size = at, size
	}
	return in.extra + in.size - uint64(n+15)&^15, nil
}

// write puts b at addr, to be undone by restore.
func (in *injector) write(addr uint64, b []byte) error {
	old := make([]byte, len(b))
	if err := ReadMemory(in.pid, addr, old); err != nil {
		return err
	}
	in.dirty = append(in.dirty, patch{addr, old})
	return WriteMemory(in.pid, addr, b)
}

// call executes one system call in the process. An errno is an error.
func (in *injector) call(op string, nr uint64, args ...uint64) (uint64, error) {
	ret, err := in.run(op, nr, args...)
	if err == nil && ret < 0 && ret >= -4095 {
		err = &Error{Op: op, TID: in.pid, Err: unix.Errno(-ret)}
	}
	return uint64(ret), err
}

// run executes one system call in the process and returns what the kernel answers.
func (in *injector) run(op string, nr uint64, args ...uint64) (int64, error) {
	regs := in.regs
	regs.Rip, regs.Rax, regs.Orig_rax = in.insn, nr, ^uint64(0)
	for i, to := range []*uint64{&regs.Rdi, &regs.Rsi, &regs.Rdx, &regs.R10, &regs.R8, &regs.R9} {
		*to = 0
		if i < len(args) {
			*to = args[i]
		}
	}
	if errno := setRegs(in.pid, &regs); errno != 0 {
		return 0, &Error{Op: op, TID: in.pid, Err: errno}
	}
	// The second syscall stop is the exit. A SECCOMP stop may come in between, for a call
	// under the filter: it goes on, and the filter's notifications are answered likewise.
	for stops := 0; stops < 2; {
		if errno := request(unix.PTRACE_SYSCALL, in.pid, 0, 0); errno != 0 {
			return 0, &Error{Op: op, TID: in.pid, Err: errno}
		}
		var ws unix.WaitStatus
		if _, errno := wait4(in.pid, &ws, 0); errno != 0 {
			return 0, &Error{Op: op, TID: in.pid, Err: errno}
		}
		switch {
		case !ws.Stopped():
			return 0, in.t.unexpected(op, ws)
		case ws.StopSignal() == syscallStop:
			stops++
		case int(ws)>>16 == 0:
			in.t.deferred = append(in.t.deferred, ws.StopSignal())
		}
	}
	var ret uint64
	if errno := peekUser(in.pid, offRax, &ret); errno != 0 {
		return 0, &Error{Op: op, TID: in.pid, Err: errno}
	}
	return int64(ret), nil
}

// restore gives the process its memory and registers back.
func (in *injector) restore() error {
	for i := len(in.dirty) - 1; i >= 0; i-- {
		if err := WriteMemory(in.pid, in.dirty[i].addr, in.dirty[i].old); err != nil {
			return err
		}
	}
	if in.extra != 0 {
		if _, err := in.call("munmap", unix.SYS_MUNMAP, in.extra, in.size); err != nil {
			return err
		}
	}
	if errno := setRegs(in.pid, &in.regs); errno != 0 {
		return &Error{Op: "PTRACE_SETREGS", TID: in.pid, Err: errno}
	}
	return nil
}
