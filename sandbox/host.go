package sandbox

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/ptrace/seccomp"
	"github.com/runsbx/runsbx/sandbox/confine"
	"github.com/runsbx/runsbx/sandbox/policy"
)

// Host says what a machine offers to a sandbox.
type Host struct {
	Kernel     string `json:"kernel"` // release
	Libseccomp string `json:"libseccomp"`

	Seccomp     SeccompHost `json:"seccomp"`
	Ptrace      PtraceHost  `json:"ptrace"`
	Personality bool        `json:"personality_no_randomize"` // ADDR_NO_RANDOMIZE can be set
	Landlock    int         `json:"landlock_abi"`             // 0: none
	UserNS      bool        `json:"user_namespaces"`          // can be made, as far as the sysctls say
	Cgroup      string      `json:"cgroup"`                   // "v2", "v1" or "none"
	THP         string      `json:"transparent_hugepage"`     // "" when the kernel has none

	// Sysctls holds the settings that decide memory calls, by their names below /proc/sys with
	// dots; those that this kernel does not have are missing.
	Sysctls      map[string]string `json:"sysctls"`
	Capabilities []string          `json:"capabilities"` // effective, as numbers where unnamed
	Confined     bool              `json:"confined"`     // this process is under a seccomp filter itself
}

// SeccompHost is what of seccomp a host offers.
type SeccompHost struct {
	Trace            bool `json:"trace"`              // SECCOMP_RET_TRACE
	UserNotif        bool `json:"user_notif"`         // SECCOMP_RET_USER_NOTIF
	NewListener      bool `json:"new_listener"`       // SECCOMP_FILTER_FLAG_NEW_LISTENER
	WaitKillableRecv bool `json:"wait_killable_recv"` // Linux 5.19
	SyncWakeUp       bool `json:"sync_wake_up"`       // Linux 6.6
}

// PtraceHost is what of ptrace and its like a host offers.
type PtraceHost struct {
	Trace          bool   `json:"trace"`            // a child can be traced
	Seize          bool   `json:"seize"`            // and be seized afterwards
	GetSyscallInfo bool   `json:"get_syscall_info"` // Linux 5.3
	SetSyscallInfo bool   `json:"set_syscall_info"` // Linux 6.16
	ReadMemory     bool   `json:"process_vm_readv"`
	PidfdGetfd     bool   `json:"pidfd_getfd"`
	YamaScope      string `json:"yama_scope"`        // "" without Yama
	Failure        string `json:"failure,omitempty"` // why a child could not be traced
}

// hostSysctls are the settings that Probe reads.
var hostSysctls = []string{
	"vm.overcommit_memory", "vm.overcommit_ratio", "vm.overcommit_kbytes", "vm.max_map_count",
	"vm.mmap_min_addr", "vm.mmap_rnd_bits", "vm.legacy_va_layout", "vm.memfd_noexec",
	"vm.unprivileged_userfaultfd", "kernel.randomize_va_space", "kernel.io_uring_disabled",
	"kernel.core_pattern",
}

// Probe finds out what this machine offers. It changes nothing, needs no privileges, and takes a
// few milliseconds: a copy of this program's own process is made, looked at and killed before it
// runs any code.
func Probe() (*Host, error) {
	h := &Host{Libseccomp: seccomp.Version(), Sysctls: make(map[string]string)}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	h.Kernel = unix.ByteSliceToString(uts.Release[:])
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("no usable /proc: %w", err)
	}
	h.Capabilities = capabilities(statusField(string(status), "CapEff"))
	h.Confined = statusField(string(status), "Seccomp") == "2"
	for _, name := range hostSysctls {
		if b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/")); err == nil {
			h.Sysctls[name] = strings.TrimSpace(string(b))
		}
	}
	h.THP = chosen("/sys/kernel/mm/transparent_hugepage/enabled")
	h.Cgroup = cgroupKind()
	h.UserNS = userNamespaces(len(h.Capabilities) > 0)
	h.Landlock = confine.ABI()
	h.Seccomp = probeSeccomp()
	h.Ptrace, h.Personality = probeChild()
	return h, nil
}

// CanRun returns nil when a sandbox can be made here, or else what is missing.
func (h *Host) CanRun() error {
	for _, need := range []struct {
		ok   bool
		what string
	}{
		{h.Seccomp.Trace, "no SECCOMP_RET_TRACE"},
		{h.Seccomp.UserNotif && h.Seccomp.NewListener, "no seccomp user notifications"},
		{h.Seccomp.WaitKillableRecv, "no SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19 and later)"},
		{h.Ptrace.Trace, "a child cannot be traced: " + h.Ptrace.Failure},
		{h.Ptrace.Seize, "no PTRACE_SEIZE"},
		{h.Ptrace.GetSyscallInfo, "no PTRACE_GET_SYSCALL_INFO (Linux 5.3 and later)"},
		{h.Ptrace.ReadMemory, "process_vm_readv is not permitted"},
	} {
		if !need.ok {
			return errors.New(need.what)
		}
	}
	return nil
}

// Enforced lists, a line each, what a program is confined by on this host when nothing else is asked for; nothing
// where it cannot be confined.
func (h *Host) Enforced() []string {
	list := []string{}
	if h.Landlock == 0 {
		return list
	}
	list = append(list, fmt.Sprintf("files: Landlock, ABI %d; modes, owners, times and attributes by the supervisor", h.Landlock))
	network := "network: no sockets but unix ones (seccomp)"
	if h.Landlock >= 4 {
		network += ", no TCP (Landlock)"
	}
	list = append(list, network)
	if h.Landlock >= 6 {
		list = append(list, "processes outside: no signals, no abstract unix sockets (Landlock scopes)")
	}
	list = append(list, "processes outside: no tracing, no reading or writing of memory (seccomp, Landlock)",
		"system calls: the default list (seccomp)", "descriptors: 0, 1 and 2", "privileges: no_new_privs, and few capabilities")
	var limits []string
	defaults := policy.DefaultLimits()
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		limits = append(limits, name+" "+policy.FormatLimit(name, defaults[name]))
	}
	return append(list, "limits: "+strings.Join(limits, ", "))
}

// NotEnforced lists, a line each, what could be asked for and cannot be had on this host.
func (h *Host) NotEnforced() []string {
	list := []string{}
	if !h.Personality {
		list = append(list, "--aslr off and --aslr seed=N: personality(ADDR_NO_RANDOMIZE) is not permitted")
	}
	if h.Landlock == 0 {
		return append(list, "confinement: "+errNoLandlock.Error())
	}
	for _, what := range notEnforcedBy(h.Landlock) {
		list = append(list, "confinement: "+what)
	}
	return list
}

// statusField returns a field of /proc/PID/status.
func statusField(status, name string) string {
	_, rest, ok := strings.Cut("\n"+status, "\n"+name+":")
	if !ok {
		return ""
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

const capSysPtrace = 19

func capabilities(hex string) []string {
	list := []string{}
	mask, err := strconv.ParseUint(hex, 16, 64)
	if err != nil {
		return list
	}
	for c := range 64 {
		if mask>>c&1 == 0 {
			continue
		}
		list = append(list, capabilityName(c))
	}
	return list
}

func cgroupKind() string {
	var fs unix.Statfs_t
	if unix.Statfs("/sys/fs/cgroup", &fs) != nil {
		return "none"
	}
	switch uint32(fs.Type) {
	case unix.CGROUP2_SUPER_MAGIC:
		return "v2"
	case tmpfsMagic:
		return "v1"
	}
	return "none"
}

func userNamespaces(privileged bool) bool {
	if n, err := sysctl("user/max_user_namespaces"); err != nil || n == 0 {
		return false
	}
	if privileged {
		return true
	}
	if n, err := sysctl("kernel/unprivileged_userns_clone"); err == nil && n == 0 {
		return false
	}
	n, err := sysctl("kernel/apparmor_restrict_unprivileged_userns")
	return err != nil || n == 0
}

// probeSeccomp asks seccomp(2) what it knows. No filter is loaded into this process.
func probeSeccomp() SeccompHost {
	action := func(a uint32) bool {
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&a)))
		return errno == 0
	}
	// Without a program the call fails with EFAULT where the flags are known, with EINVAL where
	// they are not.
	flags := func(f uintptr) bool {
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, f, 0)
		return errno == unix.EFAULT
	}
	return SeccompHost{
		Trace:            action(unix.SECCOMP_RET_TRACE),
		UserNotif:        action(unix.SECCOMP_RET_USER_NOTIF),
		NewListener:      flags(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER),
		WaitKillableRecv: flags(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV),
		SyncWakeUp:       probeSyncWakeUp(),
	}
}
