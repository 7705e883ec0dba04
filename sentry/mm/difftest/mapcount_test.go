//go:build linux && amd64

package difftest

import (
	"encoding/binary"
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
	{"mremap", []op{anon(0, 4, 3)}, op{linux.SYS_MREMAP, [6]uint64{arenaStart + page, page, page, 3, arenaStart + 16*page}}},
	{"mremap that searches", []op{anon(0, 4, 3)}, op{linux.SYS_MREMAP, [6]uint64{arenaStart, page, 2 * page, 1}}},
	{"mremap that grows", []op{anon(0, 4, 3)}, op{linux.SYS_MREMAP, [6]uint64{arenaStart, 4 * page, 5 * page}}},
	{"brk", nil, op{linux.SYS_BRK, [6]uint64{0x509000}}},
	{"shmat", nil, op{linux.SYS_SHMAT, [6]uint64{0, arenaStart}}},
	{"io_setup", nil, op{linux.SYS_IO_SETUP, [6]uint64{8}}},
}

// batch makes calls one after the other and returns what they answered, without waiting for each.
func (g *guest) batch(ops []op) ([]int64, error) {
	const most = 512 // of the commands and answers that pipes hold
	var out []int64
	for len(ops) > 0 {
		n := min(len(ops), most)
		var b []byte
		for _, o := range ops[:n] {
			b = binary.LittleEndian.AppendUint64(b, o.nr)
			for _, a := range o.args {
				b = binary.LittleEndian.AppendUint64(b, a)
			}
		}
		if _, err := g.in.Write(b); err != nil {
			return nil, err
		}
		for range n {
			ret, err := g.answer()
			if err != nil {
				return nil, err
			}
			out = append(out, int64(ret))
		}
		ops = ops[n:]
	}
	return out, nil
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
	// quiet does operations without looking at the list, which is long.
	quiet := func(ops ...op) {
		t.Helper()
		answers, err := r.g.batch(ops)
		if err != nil {
			t.Fatal(err)
		}
		for i := range ops {
			if _, got := r.x.do(&ops[i]); got != answers[i] {
				t.Fatalf("%v: %s in the kernel, %s in the model", ops[i], outcome(&ops[i], answers[i]), outcome(&ops[i], got))
			}
		}
	}
	m, fill := r.x.now().m, uint64(0)
	most := r.config.MaxMapCount
	// setCount adds VMAs of a page each, no two of which merge, or removes them.
	setCount := func(n int) {
		var more []op
		for range n - m.Totals().MapCount {
			more = append(more, op{linux.SYS_MMAP, [6]uint64{fillStart + fill*page, page, 1 + fill%2*4, fixedAnon, noFile}})
			fill++
		}
		quiet(more...)
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
			if *seeds < 100 && (i+j)%len(left) != 0 {
				continue // one of each, in the short run
			}
			quiet(c.prep...)
			setCount(most - slack)
			if d := r.step(c.op); d != "" {
				t.Fatalf("%s, %d below vm.max_map_count: %s", c.name, slack, d)
			}
			setCount(most - 10)
			quiet(op{linux.SYS_MUNMAP, [6]uint64{arenaStart, 32 * page}}, op{linux.SYS_BRK, [6]uint64{0x505000}})
		}
	}
}
