//go:build linux && amd64

package difftest

import (
	"math"
	"os"
	"testing"

	"github.com/runsbx/runsbx/sentry/linux"
)

const (
	fixedAnon = linux.MAP_PRIVATE | linux.MAP_ANONYMOUS | linux.MAP_FIXED
	fillStart = 0x20000000000
)

// atCount are a few VMAs and calls on them that need others more, or that free some.
var atCount = []struct {
	name string
	prep []op // in the arena
	op   op
}{
	{"mmap", nil, op{linux.SYS_MMAP, [6]uint64{arenaStart, page, 3, fixedAnon, noFile}}},
	{"mmap that merges", []op{anon(0, 2, 3)}, op{linux.SYS_MMAP, [6]uint64{arenaStart + 2*page, page, 3, fixedAnon, noFile}}},
	{"mmap into the middle", []op{anon(0, 4, 3)}, op{linux.SYS_MMAP, [6]uint64{arenaStart + page, page, 1, fixedAnon, noFile}}},
	{"munmap that splits", []op{anon(0, 4, 3)}, op{linux.SYS_MUNMAP, [6]uint64{arenaStart + page, page}}},
	{"munmap of ends", []op{anon(0, 4, 3), anon(4, 4, 1)}, op{linux.SYS_MUNMAP, [6]uint64{arenaStart + 2*page, 4 * page}}},
	{"mprotect that splits in two", []op{anon(0, 4, 3)}, op{linux.SYS_MPROTECT, [6]uint64{arenaStart, page, 1}}},
	{"mprotect that splits in three", []op{anon(0, 4, 3)}, op{linux.SYS_MPROTECT, [6]uint64{arenaStart + page, page, 1}}},
	{"mprotect of several", []op{anon(0, 4, 3), anon(4, 4, 5)}, op{linux.SYS_MPROTECT, [6]uint64{arenaStart + page, 6 * page, 1}}},
	{"mlock", []op{anon(0, 4, 3)}, op{linux.SYS_MLOCK, [6]uint64{arenaStart + page, page}}},
	{"madvise", []op{anon(0, 4, 3)}, op{linux.SYS_MADVISE, [6]uint64{arenaStart + page, page, linux.MADV_DONTFORK}}},
	{"mbind", []op{anon(0, 4, 3)}, op{linux.SYS_MBIND, [6]uint64{arenaStart + page, page, 1}}},
	{"mseal", []op{anon(0, 4, 3)}, op{linux.SYS_MSEAL, [6]uint64{arenaStart + page, page}}},
	{"mremap", []op{anon(0, 4, 3)}, op{linux.SYS_MREMAP, [6]uint64{arenaStart + page, page, page, 3, arenaStart + 16*page}}},
	{"mremap that searches", []op{anon(0, 4, 3)}, op{linux.SYS_MREMAP, [6]uint64{arenaStart, page, 2 * page, 1}}},
	{"mremap that grows", []op{anon(0, 4, 3)}, op{linux.SYS_MREMAP, [6]uint64{arenaStart, 4 * page, 5 * page}}},
	{"brk", nil, op{linux.SYS_BRK, [6]uint64{0x509000}}},
	{"shmat", nil, op{linux.SYS_SHMAT, [6]uint64{0, arenaStart}}},
	{"io_setup", nil, op{linux.SYS_IO_SETUP, [6]uint64{8}}},
}

func anon(at, pages, prot uint64) op {
	return op{linux.SYS_MMAP, [6]uint64{arenaStart + at*page, pages * page, prot, fixedAnon, noFile}}
}

// TestMapCount makes calls in a process that has as many VMAs as it may have, or a few fewer, and
// compares what the kernel makes of them.
func TestMapCount(t *testing.T) {
	if os.Getuid() != 0 || testing.Short() {
		t.Skip("needs root, and some seconds")
	}
	w := newWorld(t)
	r, err := w.start(conditions{privileged: true}, math.MaxInt, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.g.stop()
	// quiet does an operation without looking at the list, which is long.
	quiet := func(o op) {
		t.Helper()
		ret, err := r.g.do(&o)
		if err != nil {
			t.Fatal(err)
		}
		if d := r.x.step(&o, ret); d != "" {
			t.Fatal(d)
		}
	}
	m, fill := r.x.now().m, uint64(0)
	most := r.config.MaxMapCount
	// setCount adds VMAs of a page each, no two of which merge, or removes them.
	setCount := func(n int) {
		for m.Totals().MapCount < n {
			quiet(op{linux.SYS_MMAP, [6]uint64{fillStart + fill*page, page, 1 + fill%2*4, fixedAnon, noFile}})
			fill++
		}
		if more := uint64(max(m.Totals().MapCount-n, 0)); more != 0 {
			fill -= more
			quiet(op{linux.SYS_MUNMAP, [6]uint64{fillStart + fill*page, more * page}})
		}
	}
	setCount(most - 10)
	var left []int
	for slack := -1; slack < 8; slack++ { // mmap itself may go one beyond the limit
		left = append(left, slack)
	}
	for i, c := range atCount {
		for j, slack := range left {
			if *seeds < 100 && (i+j)%5 != 0 {
				continue // one in five, of all kinds
			}
			for _, o := range c.prep {
				quiet(o)
			}
			setCount(most - slack)
			if d := r.step(c.op); d != "" {
				t.Fatalf("%s, %d below vm.max_map_count: %s", c.name, slack, d)
			}
			setCount(most - 10)
			undo := []op{{linux.SYS_MUNMAP, [6]uint64{arenaStart, 32 * page}}, {linux.SYS_BRK, [6]uint64{0x505000}}}
			if c.op.nr == linux.SYS_MSEAL && len(r.st.vmas) > 0 {
				break // what is sealed stays; this is the last of its kind that can be tried
			}
			for _, o := range undo {
				quiet(o)
			}
		}
	}
}
