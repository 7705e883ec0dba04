package ptrace

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ReadMemory reads len(buf) bytes at addr of thread tid's memory. It may be called from any
// thread; the bytes mean something only while tid is stopped.
func ReadMemory(tid int, addr uint64, buf []byte) error {
	if len(buf) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &buf[0], Len: uint64(len(buf))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}
	n, err := unix.ProcessVMReadv(tid, local, remote, 0)
	if err == unix.ENOSYS || err == unix.EPERM {
		n, err = throughMem(tid, os.O_RDONLY, func(f *os.File) (int, error) { return f.ReadAt(buf, int64(addr)) })
	}
	return memoryError("read memory", tid, n, len(buf), err)
}

// WriteMemory writes buf at addr of thread tid's memory, where the thread itself could write. It may be
// called from any thread; the tid is stopped.
func WriteMemory(tid int, addr uint64, buf []byte) error {
	if len(buf) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &buf[0], Len: uint64(len(buf))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(buf)}}
	n, err := unix.ProcessVMWritev(tid, local, remote, 0)
	if err == unix.ENOSYS || err == unix.EPERM {
		n, err = throughMem(tid, os.O_WRONLY, func(f *os.File) (int, error) { return f.WriteAt(buf, int64(addr)) })
	}
	return memoryError("write memory", tid, n, len(buf), err)
}

// throughMem is the way where the process_vm calls are missing or filtered.
func throughMem(tid, mode int, do func(*os.File) (int, error)) (int, error) {
	f, err := os.OpenFile("/proc/"+strconv.Itoa(tid)+"/mem", mode, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return do(f)
}

func memoryError(op string, tid, n, want int, err error) error {
	if err == nil && n != want {
		err = unix.EFAULT
	}
	if err != nil {
		return &Error{Op: op, TID: tid, Err: err}
	}
	return nil
}
