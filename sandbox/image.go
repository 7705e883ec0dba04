package sandbox

import (
	"debug/elf"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace"
	"github.com/runsbx/runsbx/sentry/blame"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// An exec whose image does not fit under a limit of its process has thrown the old one away when that
// shows. The kernel then ends the process by a SIGSEGV that it cannot catch. As it does so for other reasons
// as well, such as a damaged file, what the file asks for has to say which.

// besidesFile is what an image may have besides its file's segments.
const (
	besidesFile     = 1 << 20   // address space: an interpreter, the stack, the vdso
	besidesFileData = 128 << 10 // data: the interpreter's
	// mostArguments is what arguments may take whatever RLIMIT_STACK is (ARG_MAX), and what is below them.
	mostArguments = 128<<10 + 16<<10
)

// isImageFault reports whether a signal is the kernel's, which ends t in its exec.
func isImageFault(t *kernel.Task, sig *ptrace.Signal) bool {
	if sig.Number != unix.SIGSEGV || sig.Code != linux.SI_KERNEL {
		return false
	}
	nr := currentSyscall(t.TID) // none, where an instruction is at fault
	return nr == linux.SYS_EXECVE || nr == linux.SYS_EXECVEAT
}

// imageRefused records and returns what keeps t's exec from making its image, nil when that is no limit.
func (s *supervisor) imageRefused(t *kernel.Task) *blame.Refusal {
	why := s.machine.imageRefusal(t)
	if why == nil {
		return nil
	}
	name, _ := os.ReadFile(procPath(t.TID, "comm")) // the new one
	c := &kernel.Call{Nr: linux.SYS_EXECVE}
	v := &kernel.Verdict{Kind: kernel.Refuse, Result: mm.Result{Errno: why.Errno, Refusal: why}}
	r := &blame.Refusal{
		PID: t.Group.TGID, TID: t.TID, Program: strings.TrimSuffix(string(name), "\n"), Call: linux.SyscallName(c.Nr), Why: why,
	}
	s.ends.watch(t)
	s.report.count(c, v)
	s.refused(t, r, c, v)
	return r
}

// imageRefusal returns the limit for which the image that t's exec was making is too large; nil where there
// is none.
func (m *machine) imageRefusal(t *kernel.Task) *limits.Refusal {
	var lim limits.Rlimits
	for _, r := range limits.PerProcess() {
		soft, hard, err := m.Limit(t, r)
		if err != nil {
			return nil // it is ending
		}
		lim.Set(r, soft, hard)
	}
	status, err := os.ReadFile(procPath(t.TID, "status"))
	if err != nil {
		return nil
	}
	has := func(field string) uint64 {
		kB, _ := strconv.ParseUint(strings.TrimSuffix(statusField(string(status), field), " kB"), 10, 64)
		return kB << 10
	}
	all, data := segments(t.TID)
	for _, x := range [...]struct {
		resource           limits.Resource
		used, needs, limit uint64
	}{
		{limits.AS, has("VmSize"), all + besidesFile, lim.AS},
		{limits.Data, has("VmData"), data + besidesFileData, lim.Data},
		{limits.Stack, has("VmStk"), mostArguments, lim.Stack},
	} {
		if x.needs > x.limit {
			// How much the mapping that failed had, nobody knows.
			return &limits.Refusal{Resource: x.resource, Used: x.used, Limit: x.limit, Errno: linux.ENOMEM}
		}
	}
	return nil
}

// segments returns how much address space the segments of the file take that a process executes, and
// how much of that is data.
func segments(pid int) (all, data uint64) {
	// A file that is no executable any more, as by a write, must not keep us waiting.
	fd, err := unix.Open(procPath(pid, "exe"), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, 0
	}
	file := os.NewFile(uintptr(fd), "exe")
	defer file.Close()
	image, err := elf.NewFile(file)
	if err != nil {
		return 0, 0
	}
	low, high := ^uint64(0), uint64(0)
	for _, p := range image.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		low, high = min(low, p.Vaddr), max(high, p.Vaddr+p.Memsz)
		if p.Flags&elf.PF_W != 0 {
			data += p.Memsz
		}
	}
	return high - min(low, high), data
}
