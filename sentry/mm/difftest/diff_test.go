//go:build linux && amd64

package difftest

import (
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/mm"
	"golang.org/x/sys/unix"
)

var (
	seeds  = flag.Int("seeds", 40, "how many random guests")
	calls  = flag.Int("calls", 150, "calls in each guest")
	first  = flag.Int("first", 1, "the first seed")
	shrink = flag.Bool("shrink", true, "shorten a failing run")
)

// config is what of this machine decides results.
func config() *mm.Config {
	read := func(name string) string {
		b, _ := os.ReadFile(name)
		return strings.TrimSpace(string(b))
	}
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(read(name)); err == nil {
			return n
		}
		return otherwise
	}
	chosen := func(name string) string {
		_, s, _ := strings.Cut(read(name), "[")
		s, _, _ = strings.Cut(s, "]")
		return s
	}
	const thp = "/sys/kernel/mm/transparent_hugepage/"
	_, noTHP := os.Stat(thp)
	_, noKSM := os.Stat("/sys/kernel/mm/ksm")
	shmem := chosen(thp + "shmem_enabled")
	_, _, shstk := unix.RawSyscall(453, 0, 4096, ^uintptr(0))
	c := &mm.Config{
		TaskSize:      1<<47 - hostarch.PageSize,
		MmapMinAddr:   lowestHint(),
		DACMinAddr:    hostarch.Addr(number("/proc/sys/vm/mmap_min_addr", 4096)),
		MaxMapCount:   number("/proc/sys/vm/max_map_count", 65530),
		StackGuardGap: 256 * hostarch.PageSize,
		THP:           noTHP == nil,
		THPKnob:       chosen(thp+"enabled") != "never",
		ShmemHuge:     shmem != "" && shmem != "never" && shmem != "deny",
		NUMA:          true, KSM: noKSM == nil, MemFailure: true,
		DefaultHuge:   hostarch.HugePageSize,
		Overcommit:    limits.OvercommitMode(number("/proc/sys/vm/overcommit_memory", 0)),
		NoShadowStack: shstk == unix.ENOSYS,
	}
	if key, _, errno := unix.Syscall(unix.SYS_PKEY_ALLOC, 0, 0, 0); errno == 0 {
		c.Pkeys = true
		unix.Syscall(unix.SYS_PKEY_FREE, key, 0, 0)
	}
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		c.Memory = (si.Totalram + si.Totalswap) * uint64(si.Unit) / hostarch.PageSize
	}
	if _, last, ok := strings.Cut(read("/sys/devices/system/cpu/possible"), "-"); ok {
		n, _ := strconv.Atoi(last)
		c.CPUs = n + 1
	} else {
		c.CPUs = 1
	}
	return c
}

// lowestHint returns what the kernel makes of the lowest hint (mmap_min_addr).
func lowestHint() hostarch.Addr {
	addr, _, errno := unix.Syscall6(unix.SYS_MMAP, hostarch.PageSize, hostarch.PageSize, unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANON, ^uintptr(0), 0)
	if errno != 0 || addr >= 1<<24 {
		return hostarch.PageSize
	}
	unix.Syscall(unix.SYS_MUNMAP, addr, hostarch.PageSize, 0)
	return hostarch.Addr(addr)
}

// TestKernel compares random runs.
func TestKernel(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to start privileged and unprivileged guests")
	}
	w := newWorld(t)
	begin, total, unsure := time.Now(), 0, 0
	stats := map[string]int{}
	for seed := *first; seed < *first+*seeds; seed++ {
		ops, fail, r := w.random(t, uint64(seed), *calls)
		total, unsure = total+len(ops), unsure+r.unsure
		for k, n := range r.stats {
			stats[k] += n
		}
		if fail == "" {
			continue
		}
		t.Errorf("seed %d, call %d: %s", seed, len(ops), fail)
		if *shrink {
			ops = w.shrink(t, ops, privileged(uint64(seed)), kind(fail))
			fail, r = w.replay(t, ops, privileged(uint64(seed)))
			t.Errorf("shortened: %s", fail)
		}
		for _, s := range r.log[max(0, len(r.log)-15):] {
			t.Log(s)
		}
		t.Log(r.dump())
		return
	}
	t.Logf("%d calls in %d guests, %d of them unsure, %v; %v", total, *seeds, unsure, time.Since(begin).Round(time.Millisecond), stats)
}

func privileged(seed uint64) bool { return seed%2 == 0 }

// random makes random calls until the sides differ.
func (w *world) random(t *testing.T, seed uint64, n int) (ops []op, fail string, r *run) {
	r, err := w.start(privileged(seed))
	if err != nil {
		t.Fatal(err)
	}
	defer r.g.stop()
	if d := compareVMAs(r.m, r.vmas); d != "" {
		return nil, "after the seed: " + d, r
	}
	if d := compareTotals(r.m.Totals(), r.g.pid); d != "" {
		return nil, "after the seed: " + d, r
	}
	g := &gen{rand: rand.New(rand.NewPCG(seed, 1)), r: r}
	for range n {
		o := g.next()
		ops = append(ops, o)
		if fail = r.step(o); fail != "" {
			return ops, fail, r
		}
	}
	return ops, "", r
}

// replay makes the calls again.
func (w *world) replay(t *testing.T, ops []op, privileged bool) (string, *run) {
	r, err := w.start(privileged)
	if err != nil {
		t.Fatal(err)
	}
	defer r.g.stop()
	for _, o := range ops {
		if fail := r.step(o); fail != "" {
			return fail, r
		}
	}
	return "", r
}

// shrink leaves out calls as long as the run still fails.
func (w *world) shrink(t *testing.T, ops []op, privileged bool, like string) []op {
	for size := len(ops) / 2; size > 0; size /= 2 {
		for at := len(ops) - size; at >= 0; at -= size {
			if at+size > len(ops) {
				continue
			}
			fewer := slices.Delete(slices.Clone(ops), at, at+size)
			if fail, _ := w.replay(t, fewer, privileged); fail != "" && kind(fail) == like {
				ops = fewer
			}
		}
	}
	return ops
}

// kind is what two failures of one cause have in common: the message without numbers.
func kind(fail string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'f' {
			return -1
		}
		return c
	}, fail)
}
