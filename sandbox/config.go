package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// probeConfig finds out what of the host's kernel decides the results of memory calls.
func probeConfig() (*mm.Config, error) {
	c := &mm.Config{
		TaskSize:      0x7ffffffff000,
		StackGuardGap: 256 * hostarch.PageSize, // the default of stack_guard_gap=
		DefaultHuge:   hostarch.HugePageSize,
		Version:       kernelVersion(),
	}
	minAddr, err := sysctl("vm/mmap_min_addr")
	if err != nil {
		return nil, err
	}
	c.DACMinAddr = hostarch.Addr(minAddr)
	c.MmapMinAddr = max(c.DACMinAddr, lowestHint())
	maps, err := sysctl("vm/max_map_count")
	if err != nil {
		return nil, err
	}
	c.MaxMapCount = int(maps)
	mode, err := sysctl("vm/overcommit_memory")
	if err != nil {
		return nil, err
	}
	c.Overcommit = limits.OvercommitMode(mode)
	legacy, err := sysctl("vm/legacy_va_layout")
	c.LegacyLayout = err == nil && legacy != 0
	randomize, err := sysctl("kernel/randomize_va_space")
	c.NoRandomize = err == nil && randomize == 0
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return nil, err
	}
	c.Memory = (info.Totalram + info.Totalswap) * uint64(info.Unit) >> hostarch.PageShift
	thp := chosen("/sys/kernel/mm/transparent_hugepage/enabled")
	c.THP = thp != ""
	c.THPKnob = c.THP && thp != "never"
	switch chosen("/sys/kernel/mm/transparent_hugepage/shmem_enabled") {
	case "always", "within_size", "advise", "force":
		c.ShmemHuge = true
	}
	c.GiganticPages = fileExists("/sys/kernel/mm/hugepages/hugepages-1048576kB")
	c.CPUs = possibleCPUs()
	c.MemFailure = fileExists("/proc/sys/vm/memory_failure_early_kill")
	// Flags that no kernel knows: only whether there is such a call, and support, is answered.
	switch _, _, errno := unix.Syscall(linux.SYS_MAP_SHADOW_STACK, 0, 0, ^uintptr(0)); errno {
	case unix.ENOSYS:
		c.NoShadowStack = true
	case unix.EINVAL:
		c.UserShadowStack = true
	}
	c.NUMA = fileExists("/proc/self/numa_maps")
	c.KSM = fileExists("/sys/kernel/mm/ksm/run")
	probePage(c)
	return c, nil
}

// kernelVersion returns the running kernel's version; zero, which stands for a recent one, when it
// cannot be told.
func kernelVersion() mm.Version {
	var u unix.Utsname
	var major, minor int
	if unix.Uname(&u) != nil {
		return 0
	}
	if n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); n != 2 {
		return 0
	}
	return mm.KernelVersion(major, minor)
}

// probePage finds out what only a call on a mapping of our own tells.
func probePage(c *mm.Config) {
	page, err := unix.Mmap(-1, 0, hostarch.PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return
	}
	defer unix.Munmap(page)
	name := []byte("runsbx\x00")
	err = unix.Prctl(linux.PR_SET_VMA, linux.PR_SET_VMA_ANON_NAME, uintptr(unsafe.Pointer(&page[0])),
		uintptr(len(page)), uintptr(unsafe.Pointer(&name[0])))
	c.AnonVMAName = err == nil
	if key, _, errno := unix.Syscall(unix.SYS_PKEY_ALLOC, 0, 0, 0); errno == 0 {
		c.Pkeys = true
		unix.Syscall(unix.SYS_PKEY_FREE, key, 0, 0)
	}
}

// lowestHint returns the address that the kernel makes of the lowest possible hint. It is
// vm.mmap_min_addr, or CONFIG_LSM_MMAP_MIN_ADDR where that is larger, which can be seen in no
// other way; zero when that page is taken.
func lowestHint() hostarch.Addr {
	const hint, unlikely = hostarch.PageSize, 1 << 24
	addr, _, errno := unix.Syscall6(unix.SYS_MMAP, hint, hostarch.PageSize, unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
	if errno != 0 {
		return 0
	}
	unix.Syscall(unix.SYS_MUNMAP, addr, hostarch.PageSize, 0)
	if addr >= unlikely {
		return 0
	}
	return hostarch.Addr(addr)
}

// possibleCPUs returns the number of processors that the kernel reserves for, from a list such as
// "0-3"; zero when it cannot be known.
func possibleCPUs() int {
	b, err := os.ReadFile("/sys/devices/system/cpu/possible")
	if err != nil {
		return 0
	}
	_, last, ok := strings.Cut(strings.TrimSpace(string(b)), "-")
	if !ok {
		return 1
	}
	n, err := strconv.Atoi(last)
	if err != nil {
		return 0
	}
	return n + 1
}

// sysctl returns the number in a file below /proc/sys.
func sysctl(name string) (uint64, error) {
	b, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
}

// chosen returns the word in brackets of a file such as "always [madvise] never".
func chosen(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	_, s, _ := strings.Cut(string(b), "[")
	s, _, _ = strings.Cut(s, "]")
	return s
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// personalityFor returns the flags of personality(2) that a program needs set and cleared at its
// start, so that the kernel lays it out as the policy says.
func personalityFor(p *policy.Policy) (set, clear uint32) {
	if p.ASLR != policy.ASLROn {
		set |= linux.ADDR_NO_RANDOMIZE
	}
	switch p.Layout {
	case policy.LayoutTopDown:
		clear |= linux.ADDR_COMPAT_LAYOUT
	case policy.LayoutBottomUp, policy.LayoutLegacy:
		set |= linux.ADDR_COMPAT_LAYOUT
	}
	return set, clear
}
