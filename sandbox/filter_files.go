package sandbox

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
	"github.com/runsbx/runsbx/sentry/linux"
)

// masked compares the bits of an int argument.
func masked(n uint, mask, v uint64) seccomp.Cond {
	return seccomp.Cond{Arg: n, Op: seccomp.MaskedEqual, Mask: mask, Value: v}
}

// fileRules stop the calls by which a process may get a descriptor of a memory file that it may write to,
// and those that grow one without a descriptor. They are for all processes whose memory is counted.
func fileRules() []seccomp.Rule {
	var rules []seccomp.Rule
	add := func(nr uint64, conds ...seccomp.Cond) {
		rules = append(rules, seccomp.Rule{Nr: nr, Act: seccomp.Trace, Conds: conds})
	}
	for _, nr := range []uint64{
		linux.SYS_MEMFD_CREATE, linux.SYS_MEMFD_SECRET, linux.SYS_PIDFD_GETFD, linux.SYS_CREAT,
		linux.SYS_OPENAT2, // its flags are in memory
		linux.SYS_RECVMSG, linux.SYS_RECVMMSG, linux.SYS_TRUNCATE,
	} {
		add(nr)
	}
	for _, open := range []struct {
		nr    uint64
		flags uint
	}{{linux.SYS_OPEN, 1}, {linux.SYS_OPENAT, 2}, {linux.SYS_OPEN_BY_HANDLE_AT, 2}, {linux.SYS_FANOTIFY_INIT, 1}} {
		add(open.nr, masked(open.flags, unix.O_ACCMODE, unix.O_WRONLY))
		add(open.nr, masked(open.flags, unix.O_ACCMODE, unix.O_RDWR))
		if open.nr != linux.SYS_FANOTIFY_INIT {
			add(open.nr, masked(open.flags, unix.O_ACCMODE|unix.O_TRUNC, unix.O_RDONLY|unix.O_TRUNC))
		}
	}
	add(linux.SYS_SECCOMP, masked(0, 0xffffffff, unix.SECCOMP_SET_MODE_FILTER))
	add(linux.SYS_PRCTL, masked(0, 0xffffffff, unix.PR_SET_SECCOMP))
	return rules
}

// growing returns the calls that make a file grow.
func growing() []uint64 {
	return []uint64{
		linux.SYS_WRITE, linux.SYS_PWRITE64, linux.SYS_WRITEV, linux.SYS_PWRITEV, linux.SYS_PWRITEV2,
		linux.SYS_FTRUNCATE, linux.SYS_FALLOCATE, linux.SYS_SENDFILE, linux.SYS_SPLICE, linux.SYS_COPY_FILE_RANGE,
		linux.SYS_IO_SUBMIT, linux.SYS_IOCTL,
	}
}

// growthFilter stops the calls that make a file grow, and those that exchange what the number of a
// descriptor stands for. It is for processes that may have a memory file.
func growthFilter() seccomp.Filter {
	f := seccomp.Filter{Default: seccomp.Allow}
	for _, nr := range append(growing(), linux.SYS_CLOSE, linux.SYS_CLOSE_RANGE, linux.SYS_DUP2, linux.SYS_DUP3) {
		if nr == linux.SYS_IOCTL {
			continue // a few of them
		}
		f.Rules = append(f.Rules, seccomp.Rule{Nr: nr, Act: seccomp.Trace})
	}
	// FS_IOC_RESVSP, FS_IOC_RESVSP64 and FS_IOC_ZERO_RANGE.
	for _, op := range []uint64{0x40305828, 0x4030582a, 0x40305839} {
		f.Rules = append(f.Rules, seccomp.Rule{Nr: linux.SYS_IOCTL, Act: seccomp.Trace, Conds: []seccomp.Cond{masked(1, 0xffffffff, op)}})
	}
	return f
}

// ownDescriptors returns the numbers of this process's descriptors.
func ownDescriptors() (fds []uintptr) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			fds = append(fds, uintptr(n))
		}
	}
	return fds
}
