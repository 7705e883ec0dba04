package ptrace

import (
	"encoding/binary"
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// confine makes the stopped process give up the gaining of privileges and load the filter, and
// returns our copy of the filter's listener. The process's registers and memory are as before.
func confine(pid int, filter []byte) (listener int, err error) {
	in, err := newInjector(pid)
	if err != nil {
		return -1, err
	}
	defer func() {
		if rerr := in.restore(); err == nil && rerr != nil {
			unix.Close(listener)
			listener, err = -1, rerr
		}
	}()
	if _, err := in.call("prctl(PR_SET_NO_NEW_PRIVS)", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	// struct sock_fprog, followed by the filter.
	prog := make([]byte, 16, 16+len(filter))
	addr := in.scratch(16 + len(filter))
	binary.NativeEndian.PutUint16(prog, uint16(len(filter)/8))
	binary.NativeEndian.PutUint64(prog[8:], addr+16)
	if err := in.write(addr, append(prog, filter...)); err != nil {
		return -1, err
	}
	fd, err := in.call("seccomp(SECCOMP_SET_MODE_FILTER)", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		filterFlagNewListener|filterFlagWaitKillableRecv, addr)
	if err != nil {
		return -1, err
	}
	listener, err = takeFd(in, int(fd))
	if err != nil {
		return -1, err
	}
	if _, err := in.call("close", unix.SYS_CLOSE, fd); err != nil {
		unix.Close(listener)
		return -1, err
	}
	return listener, nil
}

// injector makes a stopped process execute system calls of ours.
type injector struct {
	pid   int
	saved unix.PtraceRegs
	insn  uint64 // address of a syscall instruction in the process
	dirty []saved
}

type saved struct {
	addr  uint64
	bytes []byte
}

func newInjector(pid int) (*injector, error) {
	in := &injector{pid: pid}
	if err := getRegs(pid, &in.saved); err != nil {
		return nil, err
	}
	var err error
	in.insn, err = findSyscallInsn(pid, in.saved.Rip)
	return in, err
}

// findSyscallInsn returns the address of a syscall instruction in the image: in the vdso, or
// failing that in the code about to run. Nothing is written, so no page becomes private.
func findSyscallInsn(pid int, rip uint64) (uint64, error) {
	for _, start := range []uint64{vdso(pid), rip &^ 4095} {
		if start == 0 {
			continue
		}
		buf := make([]byte, 16<<10)
		n := readSome(pid, start, buf)
		for i := 0; i+1 < n; i++ {
			if buf[i] == 0x0f && buf[i+1] == 0x05 {
				return start + uint64(i), nil
			}
		}
	}
	return 0, &Error{Op: "find a syscall instruction", TID: pid, Err: errors.New("none in the image")}
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

// readSome reads page by page until a page cannot be read, and returns how much it read.
func readSome(pid int, addr uint64, buf []byte) int {
	n := 0
	for n < len(buf) {
		k := min(len(buf)-n, 4096)
		if ReadMemory(pid, addr+uint64(n), buf[n:n+k]) != nil {
			break
		}
		n += k
	}
	return n
}

// scratch returns the address of n bytes of the stack that the new image does not use yet: below
// the stack pointer and the 128 bytes under it that the ABI reserves.
func (in *injector) scratch(n int) uint64 {
	return (in.saved.Rsp - 256 - uint64(n)) &^ 15
}

func (in *injector) write(addr uint64, b []byte) error {
	old := make([]byte, len(b))
	if err := ReadMemory(in.pid, addr, old); err != nil {
		return err
	}
	in.dirty = append(in.dirty, saved{addr, old})
	return writeMemory(in.pid, addr, b)
}

// call executes one system call in the process by a single step over a syscall instruction.
func (in *injector) call(op string, nr uint64, args ...uint64) (uint64, error) {
	regs := in.saved
	regs.Rip, regs.Rax, regs.Orig_rax = in.insn, nr, ^uint64(0)
	for i, to := range []*uint64{&regs.Rdi, &regs.Rsi, &regs.Rdx, &regs.R10, &regs.R8, &regs.R9} {
		*to = 0
		if i < len(args) {
			*to = args[i]
		}
	}
	if err := setRegs(in.pid, &regs); err != nil {
		return 0, err
	}
	if err := resume(in.pid, unix.PTRACE_SINGLESTEP, 0); err != nil {
		return 0, err
	}
	var ws unix.WaitStatus
	if _, err := wait4(in.pid, &ws, 0); err != nil {
		return 0, &Error{Op: op, TID: in.pid, Err: err}
	}
	if !ws.Stopped() || ws.StopSignal() != unix.SIGTRAP {
		return 0, &Error{Op: op, TID: in.pid, Err: errors.New("the program was interrupted at its start")}
	}
	if err := getRegs(in.pid, &regs); err != nil {
		return 0, err
	}
	if ret := int64(regs.Rax); ret < 0 && ret >= -4095 {
		return 0, &Error{Op: op, TID: in.pid, Err: unix.Errno(-ret)}
	}
	return regs.Rax, nil
}

// restore gives the process its memory and registers back.
func (in *injector) restore() error {
	for _, d := range in.dirty {
		if err := writeMemory(in.pid, d.addr, d.bytes); err != nil {
			return err
		}
	}
	return setRegs(in.pid, &in.saved)
}

// ReadMemory reads len(buf) bytes at addr of the thread's memory.
func ReadMemory(tid int, addr uint64, buf []byte) error {
	local := []unix.Iovec{{Base: &buf[0], Len: uint64(len(buf))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}
	n, err := unix.ProcessVMReadv(tid, local, remote, 0)
	if err == nil && n != len(buf) {
		err = unix.EFAULT
	}
	if err != nil {
		return &Error{Op: "read memory", TID: tid, Err: err}
	}
	return nil
}

func writeMemory(tid int, addr uint64, buf []byte) error {
	local := []unix.Iovec{{Base: &buf[0], Len: uint64(len(buf))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}
	n, err := unix.ProcessVMWritev(tid, local, remote, 0)
	if err == nil && n != len(buf) {
		err = unix.EFAULT
	}
	if err != nil {
		return &Error{Op: "write memory", TID: tid, Err: err}
	}
	return nil
}
