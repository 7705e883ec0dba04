package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/procmaps"
)

// TestBottomUp: --layout bottomup gives what the kernel's own legacy layout gives.
func TestBottomUp(t *testing.T) {
	t.Parallel()
	need(t, "setarch")
	for name, p := range mapsPrograms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := base(t)
			native := p.run(t, dir, []string{"setarch", "-R", "-L"})
			p.expect(t, "natively", native)
			if d := difference(p.normal(native.stdout), p.maps(t, "--aslr=off", "--layout=bottomup")); d != "" {
				t.Errorf("stdout differs:\n%s", d)
			}
		})
	}
}

// TestTopDown: --layout topdown puts a program that inherited the other layout where it belongs.
func TestTopDown(t *testing.T) {
	t.Parallel()
	need(t, "setarch")
	p := mapsPrograms(t)["varied"]
	want := p.maps(t, "--aslr=off")
	p.wrap = []string{"setarch", "-L"}
	if d := difference(want, p.maps(t, "--aslr=off", "--layout=topdown")); d != "" {
		t.Errorf("stdout differs:\n%s", d)
	}
}

// TestLayoutPrograms: real programs run in every layout, and the model agrees with the kernel.
func TestLayoutPrograms(t *testing.T) {
	t.Parallel()
	need(t, "python3", "gcc")
	programs := map[string]program{
		"shell": {argv: []string{"bash", "-c", `for i in 1 2 3; do seq $i 100 | sort -rn | head -1; done; (exec ls / | wc -l)`}, want: "100"},
		"python": {argv: []string{"python3", "-c", `
import mmap, threading, subprocess
keep = [mmap.mmap(-1, 4096 * (i * 7 % 50 + 1)) for i in range(60)]
for i in range(0, 60, 3): keep[i].close()
ts = [threading.Thread(target=lambda: [mmap.mmap(-1, 8192).close() for _ in range(20)]) for _ in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]
print(subprocess.run(["sort"], input=b"2\n1\n", stdout=subprocess.PIPE).stdout)`}, want: `b'1\n2\n'`},
		"gcc": {argv: []string{"sh", "-c", `echo 'int main(void) { return 7; }' > a.c && gcc -O2 a.c && ./a.out; echo $?`}, want: "7"},
	}
	for _, layout := range []string{"bottomup", "legacy", "legacy --aslr=off", "legacy --aslr=seed=3", "bottomup --aslr=seed=3"} {
		for name, p := range programs {
			t.Run(layout+" "+name, func(t *testing.T) {
				t.Parallel()
				p.flags = strings.Fields("--layout=" + layout)
				if name == "gcc" {
					p.verify = "exit"
				}
				p.check(t)
			})
		}
	}
}

// TestSeededLayout: a seed moves the base of every layout, the same way each time.
func TestSeededLayout(t *testing.T) {
	t.Parallel()
	p := mapsPrograms(t)["varied"]
	for _, layout := range []string{"bottomup", "legacy"} {
		first := p.maps(t, "--aslr=seed=7", "--layout="+layout)
		if d := difference(first, p.maps(t, "--aslr=seed=7", "--layout="+layout)); d != "" {
			t.Errorf("%s: two runs with one seed differ:\n%s", layout, d)
		}
		if p.maps(t, "--aslr=seed=8", "--layout="+layout) == first {
			t.Errorf("%s: seed 7 and seed 8 give the same mappings", layout)
		}
	}
}

// TestLegacy follows a program of random calls with the text of Linux 2.6's
// arch_get_unmapped_area, on a plain list.
func TestLegacy(t *testing.T) {
	t.Parallel()
	for seed := range 6 {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			p := program{
				argv: []string{guest(t, "layout", "-static", "-nostdlib", "-fno-stack-protector"), fmt.Sprint("s", seed)},
				want: "munmap", normal: func(s string) string { return s },
			}
			out := p.maps(t, "--aslr=off", "--layout=legacy")
			var ref legacyReference
			calls, moved := 0, 0
			for line := range strings.Lines(out) {
				var addr, length, flags, ret uint64
				switch name, args, _ := strings.Cut(strings.TrimSpace(line), " "); name {
				case "mmap":
					fmt.Sscanf(args, "%x %x %x %x", &addr, &length, &flags, &ret)
					if want := ref.mmap(addr, length, flags&0x10 != 0); want != ret {
						t.Fatalf("call %d, %s: the reference says %#x", calls, strings.TrimSpace(line), want)
					}
					calls++
					if addr == 0 {
						moved++
					}
				case "munmap":
					fmt.Sscanf(args, "%x %x %x %x", &addr, &length, &flags, &ret)
					ref.munmap(addr, addr+length)
					calls++
				default:
					e, err := procmaps.Parse([]byte(line))
					if err != nil {
						t.Fatal(err)
					}
					if e[0].Name != "[vsyscall]" {
						ref.vmas = append(ref.vmas, [2]uint64{uint64(e[0].Range.Start), uint64(e[0].Range.End)})
					}
				}
			}
			if calls < 1000 || moved < 200 {
				t.Errorf("only %d calls, %d of them searches", calls, moved)
			}
		})
	}
}

// legacyReference is Linux 2.6's search, word for word, over a sorted list of [start, end).
type legacyReference struct {
	vmas                          [][2]uint64
	freeAreaCache, cachedHoleSize uint64
}

const (
	taskSize     = 0x7ffffffff000
	unmappedBase = (taskSize/3 + 4095) &^ 4095
	refused      = ^uint64(12) + 1 // -ENOMEM
)

// find is find_vma: the index of the first VMA that ends above addr.
func (r *legacyReference) find(addr uint64) int {
	return slices.IndexFunc(append(r.vmas, [2]uint64{^uint64(0), ^uint64(0)}), func(v [2]uint64) bool { return v[1] > addr })
}

func (r *legacyReference) mmap(addr, length uint64, fixed bool) uint64 {
	if !fixed {
		addr = r.area(addr, length)
	}
	if addr == refused || length > taskSize-addr {
		return refused
	}
	r.munmap(addr, addr+length)
	i := r.find(addr)
	r.vmas = slices.Insert(r.vmas, i, [2]uint64{addr, addr + length})
	return addr
}

func (r *legacyReference) area(hint, length uint64) uint64 {
	start := func(i int) uint64 {
		if i == len(r.vmas) {
			return ^uint64(0)
		}
		return r.vmas[i][0]
	}
	if length > taskSize {
		return refused
	}
	if hint != 0 && taskSize-length >= hint && hint+length <= start(r.find(hint)) {
		return hint
	}
	addr := max(r.freeAreaCache, unmappedBase)
	if length <= r.cachedHoleSize {
		addr, r.cachedHoleSize = unmappedBase, 0
	}
	from := addr
	for i := r.find(addr); ; i++ {
		if taskSize-length < addr {
			if from == unmappedBase {
				return refused
			}
			addr, from, r.cachedHoleSize = unmappedBase, unmappedBase, 0
			i = r.find(addr)
		}
		if addr+length <= start(i) {
			r.freeAreaCache = addr + length
			return addr
		}
		if addr+r.cachedHoleSize < start(i) {
			r.cachedHoleSize = start(i) - addr
		}
		addr = r.vmas[i][1]
	}
}

func (r *legacyReference) munmap(from, to uint64) {
	var kept [][2]uint64
	removed, below := false, uint64(unmappedBase)
	for _, v := range r.vmas {
		if v[1] <= from || v[0] >= to {
			kept = append(kept, v)
			continue
		}
		removed = true
		if v[0] < from {
			kept = append(kept, [2]uint64{v[0], from})
		}
		if v[1] > to {
			kept = append(kept, [2]uint64{to, v[1]})
		}
	}
	r.vmas = kept
	for _, v := range kept {
		if v[1] <= from {
			below = v[1]
		}
	}
	if removed && below >= unmappedBase && below < r.freeAreaCache {
		r.freeAreaCache, r.cachedHoleSize = below, ^uint64(0)
	}
}

// TestMapCountLimit: the limit is exact in every process of the tree, whichever thread meets it.
func TestMapCountLimit(t *testing.T) {
	t.Parallel()
	p := program{argv: []string{guest(t, "mapcount")}, want: "start", normal: func(s string) string { return s }}
	// One more than the limit, and the line of [vsyscall], which is no mapping of the process.
	const run = `refused 4, mappings 102
munmap: Cannot allocate memory, unchanged
mprotect: Cannot allocate memory, unchanged
pkey_mprotect: Cannot allocate memory, unchanged
madvise: Resource temporarily unavailable, unchanged
mlock: Cannot allocate memory, unchanged
mremap: Cannot allocate memory, unchanged
MAP_FIXED: Cannot allocate memory, unchanged
brk: Cannot allocate memory, unchanged
mprotect of all: ok, changed
`
	if d := difference("start\n"+run+run, p.maps(t, "--limit=map-count=100")); d != "" {
		t.Errorf("stdout differs:\n%s", d)
	}
}
