package confine

import (
	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
	"github.com/runsbx/runsbx/sentry/linux"
)

// The default list of system calls is two filters, of which the kernel takes the stricter answer.
//
// The first looks at numbers alone, so that the kernel keeps its answers in a bitmap (seccomp(2): constant
// actions) and does not run it again: all calls of Linux 6.18 are allowed but those of refusedCalls, and what
// we do not know is answered with ENOSYS, as a kernel does that does not know it either. The second looks at
// the arguments of the few calls that are refused for some of them only.
//
// A program takes ENOSYS for an older kernel and falls back; EPERM is what it gets natively for what only a
// privileged one may do.

// lastKnown is the last call of Linux 6.18 (arch/x86/entry/syscalls/syscall_64.tbl).
const lastKnown = linux.SYS_FILE_SETATTR

// refusal is a group of calls that are refused for one reason.
type refusal struct {
	why   string
	errno linux.Errno
	calls []uint64
}

// refusedCalls are refused whatever their arguments.
var refusedCalls = []refusal{
	{"calls made by the kernel in the program's place, which no filter sees", linux.ENOSYS, []uint64{
		linux.SYS_IO_URING_SETUP, linux.SYS_IO_URING_ENTER, linux.SYS_IO_URING_REGISTER,
	}},
	{"other processes' memory, registers and descriptors", linux.EPERM, []uint64{
		linux.SYS_PTRACE, linux.SYS_PROCESS_VM_READV, linux.SYS_PROCESS_VM_WRITEV, linux.SYS_KCMP, linux.SYS_PIDFD_GETFD,
		linux.SYS_PROCESS_MRELEASE,
	}},
	{"memory that the memory manager and a debugger cannot see into, or that changes behind its back", linux.ENOSYS, []uint64{
		linux.SYS_USERFAULTFD, linux.SYS_MEMFD_SECRET,
	}},
	{"programs in the kernel, and its counters", linux.EPERM, []uint64{
		linux.SYS_BPF, linux.SYS_PERF_EVENT_OPEN,
	}},
	{"watching files of others: fanotify reports about whole file systems", linux.EPERM, []uint64{
		linux.SYS_FANOTIFY_INIT, linux.SYS_FANOTIFY_MARK,
	}},
	{"files without their paths, by which Landlock tells them", linux.EPERM, []uint64{
		linux.SYS_OPEN_BY_HANDLE_AT,
	}},
	{"newer forms of calls that the supervisor makes itself, since Landlock does not look at them", linux.ENOSYS, []uint64{
		linux.SYS_SETXATTRAT, linux.SYS_REMOVEXATTRAT, linux.SYS_FILE_SETATTR,
	}},
	{"mounts: paths would mean something else", linux.EPERM, []uint64{
		linux.SYS_MOUNT, linux.SYS_UMOUNT2, linux.SYS_PIVOT_ROOT, linux.SYS_FSOPEN, linux.SYS_FSCONFIG, linux.SYS_FSMOUNT,
		linux.SYS_FSPICK, linux.SYS_OPEN_TREE, linux.SYS_OPEN_TREE_ATTR, linux.SYS_MOVE_MOUNT, linux.SYS_MOUNT_SETATTR,
	}},
	{"namespaces of others", linux.EPERM, []uint64{linux.SYS_SETNS}},
	{"keyrings, which are shared with all processes of the user", linux.ENOSYS, []uint64{
		linux.SYS_ADD_KEY, linux.SYS_REQUEST_KEY, linux.SYS_KEYCTL,
	}},
	{"the kernel itself: its modules, its image, its log, what it accounts", linux.EPERM, []uint64{
		linux.SYS_INIT_MODULE, linux.SYS_FINIT_MODULE, linux.SYS_DELETE_MODULE, linux.SYS_KEXEC_LOAD, linux.SYS_KEXEC_FILE_LOAD,
		linux.SYS_REBOOT, linux.SYS_SYSLOG, linux.SYS_ACCT, linux.SYS_SWAPON, linux.SYS_SWAPOFF, linux.SYS_QUOTACTL,
		linux.SYS_QUOTACTL_FD, linux.SYS_LSM_SET_SELF_ATTR,
	}},
	// adjtimex and clock_adjtime are also how the clock's state is read; setting takes CAP_SYS_TIME.
	{"the machine's clock, names and terminals", linux.EPERM, []uint64{
		linux.SYS_SETTIMEOFDAY, linux.SYS_CLOCK_SETTIME, linux.SYS_SETHOSTNAME, linux.SYS_SETDOMAINNAME, linux.SYS_VHANGUP,
	}},
	{"devices without a driver", linux.EPERM, []uint64{linux.SYS_IOPL, linux.SYS_IOPERM}},
	{"what no program of today needs, and has had its bugs", linux.ENOSYS, []uint64{
		linux.SYS_MODIFY_LDT, linux.SYS_USELIB, linux.SYS_USTAT, linux.SYS_SYSFS, linux.SYS__SYSCTL, linux.SYS_LOOKUP_DCOOKIE,
		linux.SYS_NFSSERVCTL, linux.SYS_CREATE_MODULE, linux.SYS_GET_KERNEL_SYMS, linux.SYS_QUERY_MODULE, linux.SYS_GETPMSG,
		linux.SYS_PUTPMSG, linux.SYS_AFS_SYSCALL, linux.SYS_TUXCALL, linux.SYS_SECURITY, linux.SYS_VSERVER,
		linux.SYS_EPOLL_CTL_OLD, linux.SYS_EPOLL_WAIT_OLD,
	}},
}

// newNamespaces are the flags of clone and unshare that make namespaces: a program in a user namespace of
// its own has all capabilities there, and with them much more of the kernel's code to try. The low byte of
// clone's flags is the child's signal, so that CLONE_NEWTIME is unshare's alone.
var newNamespaces = []uint64{
	unix.CLONE_NEWNS, unix.CLONE_NEWCGROUP, unix.CLONE_NEWUTS, unix.CLONE_NEWIPC, unix.CLONE_NEWUSER, unix.CLONE_NEWPID,
	unix.CLONE_NEWNET,
}

// Calls returns the default list as filters. net allows the network.
func Calls(net bool) []seccomp.Filter { return []seccomp.Filter{numbers(), arguments(net)} }

// numbers is the filter that looks at numbers alone.
func numbers() seccomp.Filter {
	refused := make(map[uint64]linux.Errno)
	for _, group := range refusedCalls {
		for _, nr := range group.calls {
			refused[nr] = group.errno
		}
	}
	f := seccomp.Filter{Default: seccomp.Errno, DefaultErrno: uint16(linux.ENOSYS)}
	for nr := range uint64(lastKnown + 1) {
		if errno, ok := refused[nr]; ok {
			f.Rules = append(f.Rules, seccomp.Rule{Nr: nr, Act: seccomp.Errno, Errno: uint16(errno)})
		} else if linux.HasSyscall(nr) {
			f.Rules = append(f.Rules, seccomp.Rule{Nr: nr, Act: seccomp.Allow})
		}
	}
	return f
}

// arguments is the filter that looks at arguments. All of them are ints, of which the kernel looks at the
// lower half.
func arguments(net bool) seccomp.Filter {
	f := seccomp.Filter{Default: seccomp.Allow}
	refuse := func(nr uint64, errno linux.Errno, conds ...seccomp.Cond) {
		f.Rules = append(f.Rules, seccomp.Rule{Nr: nr, Act: seccomp.Errno, Errno: uint16(errno), Conds: conds})
	}
	for _, flag := range newNamespaces {
		refuse(linux.SYS_CLONE, linux.EPERM, bits(0, flag, flag))
		refuse(linux.SYS_UNSHARE, linux.EPERM, bits(0, flag, flag))
	}
	refuse(linux.SYS_UNSHARE, linux.EPERM, bits(0, unix.CLONE_NEWTIME, unix.CLONE_NEWTIME))
	// Typing on a terminal that others read, or what a console does for its user.
	const tioclinux = 0x541c
	refuse(linux.SYS_IOCTL, linux.EPERM, is(1, unix.TIOCSTI))
	refuse(linux.SYS_IOCTL, linux.EPERM, is(1, tioclinux))
	// What changes a file or its directory though it is open for reading alone: attributes (FS_IOC_SETFLAGS and
	// all others of its kind, FS_IOC_FSSETXATTR), and all of btrfs. Many file systems have none of these.
	const direction, kind, toKernel = 0xc0000000, 0xff00, 0x40000000
	refuse(linux.SYS_IOCTL, linux.EOPNOTSUPP, bits(1, direction|kind, toKernel|'f'<<8))
	refuse(linux.SYS_IOCTL, linux.EOPNOTSUPP, bits(1, direction|kind, toKernel|'X'<<8))
	refuse(linux.SYS_IOCTL, linux.EOPNOTSUPP, bits(1, kind, 0x94<<8))
	// The kernel gives a task one listener, and has given ours; this is the same once more.
	refuse(linux.SYS_SECCOMP, linux.EBUSY, is(0, unix.SECCOMP_SET_MODE_FILTER),
		bits(1, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER))
	sockets(refuse, net)
	return f
}

// sockets refuses families of sockets, as a kernel that does not have them.
func sockets(refuse func(nr uint64, errno linux.Errno, conds ...seccomp.Cond), net bool) {
	if !net {
		refuse(linux.SYS_SOCKET, linux.EAFNOSUPPORT, seccomp.Cond{Arg: 0, Op: seccomp.NotEqual, Value: unix.AF_UNIX})
		return
	}
	for family := range uint64(unix.AF_NETLINK) {
		switch family {
		case unix.AF_UNIX, unix.AF_INET, unix.AF_INET6:
		default:
			refuse(linux.SYS_SOCKET, linux.EAFNOSUPPORT, is(0, family))
		}
	}
	// Packets of any form, and the way into a virtual machine's host, among others.
	refuse(linux.SYS_SOCKET, linux.EAFNOSUPPORT, seccomp.Cond{Arg: 0, Op: seccomp.Greater, Value: unix.AF_NETLINK})
	const typeMask = 0xf // SOCK_TYPE_MASK
	refuse(linux.SYS_SOCKET, linux.EPERM, is(0, unix.AF_INET), bits(1, typeMask, unix.SOCK_RAW))
	refuse(linux.SYS_SOCKET, linux.EPERM, is(0, unix.AF_INET6), bits(1, typeMask, unix.SOCK_RAW))
	refuse(linux.SYS_SOCKET, linux.EPROTONOSUPPORT, is(0, unix.AF_NETLINK),
		seccomp.Cond{Arg: 2, Op: seccomp.NotEqual, Value: unix.NETLINK_ROUTE})
}

// is compares an int argument.
func is(arg uint, v uint64) seccomp.Cond { return bits(arg, 0xffffffff, v) }

// bits compares some bits of an argument.
func bits(arg uint, mask, v uint64) seccomp.Cond {
	return seccomp.Cond{Arg: arg, Op: seccomp.MaskedEqual, Mask: mask, Value: v}
}
