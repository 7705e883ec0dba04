package mm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/linux"
)

// TestStories makes the calls with which the page model once found something, or was itself found wrong,
// again. The list is in pages, of what lies in the arena of the world.
func TestStories(t *testing.T) {
	const a, n = 40 * pg, 4 * pg // a place in the arena, and how long things are
	anon := func(addr, length, prot, flags uint64) call {
		return call{op: opMMap, addr: addr, length: length, prot: prot, flags: linux.MAP_ANONYMOUS | linux.MAP_FIXED | flags}
	}
	private := func(addr, length, prot uint64) call { return anon(addr, length, prot, linux.MAP_PRIVATE) }
	for _, x := range []struct {
		story string
		set   func(cfg *Config)
		calls []call
		want  linux.Errno
		list  string
	}{
		{
			story: "More private memory than the machine has is refused after the VMA below it was split.",
			set:   func(cfg *Config) { cfg.Memory = 10 },
			calls: []call{private(a, n, rw), private(a+2*pg, 13*pg, rw)},
			want:  linux.ENOMEM, list: "40-42 rw-p 42-44 rw-p",
		}, {
			story: "At the other end, too; and what follows merges only with what it touches.",
			set:   func(cfg *Config) { cfg.Memory = 10 },
			calls: []call{private(a+10*pg, n, 1), private(a-pg, 13*pg, rw), private(a+14*pg, pg, 1)},
			list:  "50-52 r--p 52-55 r--p",
		}, {
			story: "For shared memory the object is made last: when the machine refuses it, what it was to replace is gone.",
			set:   func(cfg *Config) { cfg.Memory = 10 },
			calls: []call{private(a, n, rw), anon(a+2*pg, 13*pg, rw, linux.MAP_SHARED)},
			want:  linux.ENOMEM, list: "40-42 rw-p",
		}, {
			story: "Droppable memory is never locked, but under mlockall(MCL_FUTURE) faulted in: two such that were faulted apart stay apart.",
			calls: []call{{op: opMLockAll, flags: linux.MCL_FUTURE}, anon(a, pg, rw, linux.MAP_DROPPABLE), anon(a+2*pg, pg, rw, linux.MAP_DROPPABLE),
				{op: opMUnlockAll}, anon(a+pg, pg, rw, linux.MAP_DROPPABLE)},
			list: "40-42 rw-p 42-43 rw-p",
		}, {
			story: "MADV_POPULATE_WRITE has touched what lies before the hole that stops it: its charge stays when it is write-protected.",
			calls: []call{private(a, n, rw), {op: opMAdvise, addr: a + 2*pg, length: n, flags: linux.MADV_POPULATE_WRITE},
				{op: opMProtect, addr: a, length: n, prot: 1}, private(a+n, pg, 1)},
			list: "40-44 r--p 44-45 r--p",
		}, {
			story: "A name is for memory; a file of tmpfs has one already.",
			calls: []call{{op: opMMap, addr: a, length: n, prot: 3, flags: linux.MAP_SHARED | linux.MAP_FIXED, file: 8},
				{op: opSetName, addr: a, length: pg, n: 1}},
			want: linux.EBADF, list: "40-44 rw-s",
		}, {
			story: "A memfd has none.",
			calls: []call{{op: opMMap, addr: a, length: n, prot: 3, flags: linux.MAP_SHARED | linux.MAP_FIXED, file: 6},
				{op: opSetName, addr: a, length: pg, n: 1}},
			list: "40-41 rw-s 41-44 rw-s",
		}, {
			story: "A stack that grows up to its like does not become one with it.",
			calls: []call{anon(a, pg, rw, linux.MAP_PRIVATE|linux.MAP_GROWSDOWN), anon(a+3*pg, pg, rw, linux.MAP_PRIVATE|linux.MAP_GROWSDOWN),
				{op: opGrow, addr: a + pg}},
			list: "40-41 rw-p 41-44 rw-p",
		}, {
			story: "Going down, the search goes on below the whole guard of a stack, though another mapping in the guard makes the pages below that one free to take.",
			calls: []call{private(90*pg, 2*pg, 0), private(94*pg, 2*pg, 0), anon(88*pg, 2*pg, 0, linux.MAP_PRIVATE|linux.MAP_GROWSDOWN), private(84*pg, pg, 0),
				{op: opMMap, length: pg, prot: rw, flags: linux.MAP_PRIVATE | linux.MAP_ANONYMOUS}},
			list: "81-82 rw-p 84-85 ---p 88-90 ---p 90-92 ---p 94-96 ---p",
		}, {
			story: "A stack so low that its guard reaches down to nothing ends the search going down, and none goes up.",
			calls: []call{{op: opCreds, n: 2}, anon(6*pg, pg, rw, linux.MAP_PRIVATE|linux.MAP_GROWSDOWN), private(7*pg, 85*pg, 0), private(94*pg, 2*pg, 0),
				{op: opMMap, length: pg, prot: rw, flags: linux.MAP_PRIVATE | linux.MAP_ANONYMOUS}},
			want: linux.ENOMEM, list: "94-96 ---p",
		}, {
			story: "mremap's two ranges do not overlap when the end of the old one wraps; it fails when it is to cut off the rest.",
			calls: []call{private(a, n, rw), {op: opMRemap, addr: a, length: ^uint64(0) - 20*pg, n: pg, flags: linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED, to: a + 30*pg}},
			want:  linux.EINVAL, list: "40-44 rw-p",
		},
	} {
		t.Run(x.story, func(t *testing.T) {
			w := worlds[0]
			if x.set != nil {
				x.set(&w.cfg)
			}
			p := newPair(&w)
			for _, c := range x.calls {
				if err := p.do(c); err != nil {
					t.Fatalf("%v: %v", c, err)
				}
			}
			if p.last != x.want {
				t.Errorf("answered %s, want %s", p.last.Name(), x.want.Name())
			}
			if got := p.listIn(38, 100); got != x.list {
				t.Errorf("\n got %s\nwant %s", got, x.list)
			}
		})
	}
}

// listIn prints the VMAs that start in the pages [lo, hi), but for the kernel's own.
func (p *pair) listIn(lo, hi uint64) string {
	var b strings.Builder
	for r, v := range p.m.All() {
		if start := uint64(r.Start) / pg; start >= lo && start < hi && v.special() == "" {
			fmt.Fprintf(&b, "%d-%d %s ", start, uint64(r.End)/pg, permissions(v.Flags&VM_READ != 0, v.Flags&VM_WRITE != 0, v.Flags&VM_EXEC != 0, v.Flags&VM_MAYSHARE != 0))
		}
	}
	return strings.TrimSpace(b.String())
}
