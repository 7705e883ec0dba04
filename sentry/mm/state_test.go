package mm

import (
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/procmaps"
	"github.com/runsbx/runsbx/sentry/segment"
)

// seg is a VMA of n pages at addr.
func seg(addr hostarch.Addr, n uint64, v VMA) segment.Segment[VMA] {
	return segment.Segment[VMA]{Start: uint64(addr), End: uint64(addr) + n*pg, Value: v}
}

func TestSnapshot(t *testing.T) {
	m, c := newCore(t, coreConfig())
	mmapOp(at(0), 4, rw, fixed)(m, c)
	before, totals := m.show(), m.Totals()
	s := m.Snapshot()
	for range 2 {
		munmapOp(at(1), 2)(m, c)
		brkOp(3)(m, c)
		m.Restore(s)
		if m.show() != before || m.Totals() != totals || m.BrkRange().End != testBrk {
			t.Errorf("restored %s %+v", m.show(), m.Totals())
		}
		if err := m.CheckInvariants(); err != nil {
			t.Error(err)
		}
	}
}

func TestFork(t *testing.T) {
	m, c := newCore(t, coreConfig())
	mmapOp(at(0), 2, rw, fixed)(m, c)
	mmapOp(at(4), 2, 0, fixed)(m, c)
	mmapOp(at(8), 2, 1, fixed|linux.MAP_LOCKED)(m, c)
	mmapOp(at(12), 2, rw, fixed)(m, c)
	m.MAdvise(c, at(12), 2*pg, linux.MADV_DONTFORK)
	m.defFlags, m.mdwe = VM_LOCKED|VM_NOHUGEPAGE, true
	parent := m.show()
	n := m.Fork()
	if got, want := n.show(), "0:2rw- 4:6--- 8:10r--"; got != want {
		t.Errorf("the child has %s, want %s", got, want)
	}
	if tot := n.Totals(); tot.LockedVM != 0 || tot.TotalVM != m.Totals().TotalVM-2 || n.defFlags != VM_NOHUGEPAGE || !n.mdwe {
		t.Errorf("the child has %+v, default flags %#x, MDWE %v", tot, n.defFlags, n.mdwe)
	}
	// Memory that was written before the fork does not take in new memory; other memory does.
	n.defFlags, n.mdwe = 0, false
	mmapOp(at(2), 1, rw, fixed)(n, c)
	mmapOp(at(6), 1, 0, fixed)(n, c)
	// Its own pieces may become one again.
	mprotectOp(at(0), 1, 1)(n, c)
	mprotectOp(at(0), 1, rw)(n, c)
	if got, want := n.show(), "0:2rw- 2:3rw- 4:7--- 8:10r--"; got != want {
		t.Errorf("the child has %s, want %s", got, want)
	}
	if m.show() != parent {
		t.Errorf("the child changed the parent to %s", m.show())
	}
	for _, x := range []*MemoryManager{m, n} {
		if err := x.CheckInvariants(); err != nil {
			t.Error(err)
		}
	}
	m.mdweNoInherit = true
	if m.Fork().mdwe {
		t.Error("PR_MDWE_NO_INHERIT was inherited")
	}
}

func TestExpandStack(t *testing.T) {
	m, c := newCore(t, coreConfig())
	mmapOp(testStack.Start-4<<20, 1, 1, fixed)(m, c)
	size := m.Totals().StackVM
	m.ExpandStack(testStack.Start, testStack.Start-3*pg)
	if got := m.Totals().StackVM; got != size+3 {
		t.Errorf("StackVM %d, want %d", got, size+3)
	}
	for name, newStart := range map[string]hostarch.Addr{
		"up": testStack.Start, "into another": testStack.Start - 4<<20,
	} {
		m.ExpandStack(testStack.Start-3*pg, newStart)
		if got := m.Totals().StackVM; got != size+3 {
			t.Errorf("%s: StackVM %d", name, got)
		}
	}
	if err := m.CheckInvariants(); err != nil {
		t.Error(err)
	}
}

func TestNeedsStack(t *testing.T) {
	m, c := newCore(t, coreConfig())
	c.Limits.Stack = 8 << 20
	below := func(n hostarch.Addr) hostarch.AddrRange { return hostarch.Range(testStack.End-n, pg) }
	for _, x := range []struct {
		name string
		r    hostarch.AddrRange
		as   uint64
		want bool
	}{
		{"in the stack", hostarch.Range(testStack.Start, pg), linux.RLIM_INFINITY, true},
		{"where it may grow", below(4 << 20), linux.RLIM_INFINITY, true},
		{"in the guard of that", below(9<<20 - pg), linux.RLIM_INFINITY, true},
		{"below", below(9<<20 + pg), linux.RLIM_INFINITY, false},
		{"far from RLIMIT_AS", hostarch.Range(at(0), pg), 1 << 30, false},
		{"near RLIMIT_AS", hostarch.Range(at(0), pg), 4 << 20, true},
		{"far from RLIMIT_AS, but with a stack of its own", hostarch.Range(at(8), pg), 1 << 30, true},
	} {
		c.Limits.AS = x.as
		if strings.HasSuffix(x.name, "of its own") {
			mmapOp(at(2), 1, rw, fixed|linux.MAP_GROWSDOWN)(m, c)
		}
		if got := m.NeedsStack(x.r, c); got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

// TestStackRoom: what all stacks together may grow under a limit.
func TestStackRoom(t *testing.T) {
	m, c := newCore(t, coreConfig())
	own := uint64(testStack.Length())
	check := func(name string, limit, want uint64, stacks int) {
		t.Helper()
		size, n := m.LargestStack()
		if got := m.StackRoom(limit); got != want || size != own || n != stacks {
			t.Errorf("%s: %d pages, want %d; the largest of %d has %d bytes", name, got, want, n, size)
		}
	}
	check("less than there is", own-1, 0, 1)
	check("what there is", own, 0, 1)
	check("more", own+5*pg+1, 5, 1)
	check("as much as there are addresses", linux.RLIM_INFINITY, uint64(testStack.Start)/pg, 1)
	mmapOp(at(200), 2, rw, fixed|linux.MAP_GROWSDOWN)(m, c)
	check("another one", own+5*pg, 5+own/pg+5-2, 2)
	if res := mprotectOp(at(201), 1, 1)(m, c); res.Errno != 0 {
		t.Fatal(res)
	}
	check("only the lower part grows", own+5*pg, 5+own/pg+5-1, 2)
	mmapOp(at(199), 1, rw, fixed)(m, c)
	check("not where something ends", own+5*pg, 5, 1)
}

// TestStackMayReach: what was placed below a stack is safe from it where the limit keeps the stack, or
// where something else lies between them.
func TestStackMayReach(t *testing.T) {
	m, c := newCore(t, coreConfig())
	c.Limits.Stack = 8 << 20
	for _, x := range []struct {
		name string
		end  hostarch.Addr
		want bool
	}{
		{"below the stack and its guard gap", testStack.Start - 1<<20, true},
		{"where the gap may come", testStack.End - 9<<20 + pg, true},
		{"out of reach", testStack.End - 9<<20, false},
		{"below something else", at(0), false},
	} {
		mmapOp(at(2), 1, rw, fixed)(m, c)
		if got := m.StackMayReach(x.end, c); got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

func TestDiffAndReconcile(t *testing.T) {
	lib := &File{Readable: true, Dev: 0xfe01, Ino: 7, Name: "/lib/x"}
	setup := func(t *testing.T) *MemoryManager {
		m, c := newCore(t, coreConfig())
		mmapOp(at(0), 4, rw, fixed)(m, c)
		m.MMap(c, MMapArgs{Addr: at(8), Length: 4 * pg, Prot: 1, Flags: linux.MAP_PRIVATE | linux.MAP_FIXED, File: lib})
		return m
	}
	for _, x := range []struct {
		name   string
		change func(e []procmaps.Entry) []procmaps.Entry
		diffs  int
		want   string // in the one difference
	}{
		{"equal", func(e []procmaps.Entry) []procmaps.Entry { return e }, 0, ""},
		{"vsyscall", func(e []procmaps.Entry) []procmaps.Entry {
			return append(e, procmaps.Entry{Range: hostarch.Range(0xffffffffff600000, pg), Exec: true, Name: "[vsyscall]"})
		}, 0, ""},
		{"protection", func(e []procmaps.Entry) []procmaps.Entry { e[0].Write = false; return e }, 1, "r--p"},
		{"offset", func(e []procmaps.Entry) []procmaps.Entry { e[1].Offset += pg; return e }, 1, "1000 fe01:7"},
		{"inode", func(e []procmaps.Entry) []procmaps.Entry { e[1].Ino++; return e }, 1, "fe01:8"},
		{"missing", func(e []procmaps.Entry) []procmaps.Entry { return e[1:] }, 1, "the kernel has nothing"},
		{"shorter", func(e []procmaps.Entry) []procmaps.Entry { e[0].Range.End -= pg; return e }, 1, "13000-14000"},
		{"additional", func(e []procmaps.Entry) []procmaps.Entry {
			return append([]procmaps.Entry{{Range: hostarch.Range(0x4000, pg)}}, e...)
		}, 1, "the model has nothing"},
		{"the stack grew", func(e []procmaps.Entry) []procmaps.Entry { e[2].Range.Start -= 5 * pg; return e }, 0, ""},
		{"anonymous memory in two", func(e []procmaps.Entry) []procmaps.Entry { return split(e, 0) }, 0, ""},
		{"a library in two", func(e []procmaps.Entry) []procmaps.Entry { return split(e, 1) }, 1, "one that starts here"},
	} {
		t.Run(x.name, func(t *testing.T) {
			m := setup(t)
			list := x.change(m.entries())
			d := m.Diff(list)
			if len(d) != x.diffs || len(d) == 1 && !strings.Contains(d[0].String(), x.want) {
				t.Fatalf("%d differences, want %d with %q: %v", len(d), x.diffs, x.want, d)
			}
			changed := m.Reconcile(list)
			if x.diffs > 0 && changed == 0 {
				t.Error("Reconcile changed nothing")
			}
			if d := m.diff(list, true); len(d) != 0 {
				t.Errorf("after Reconcile: %v", d)
			}
			if m.Reconcile(list) != 0 {
				t.Error("the second Reconcile changed something")
			}
			if err := m.CheckInvariants(); err != nil {
				t.Error(err)
			}
		})
	}
}

// split splits the i'th entry after its first page.
func split(e []procmaps.Entry, i int) []procmaps.Entry {
	out := append([]procmaps.Entry{}, e[:i+1]...)
	second := e[i]
	out[i].Range.End = out[i].Range.Start + pg
	second.Range.Start += pg
	if hasFile(&second) {
		second.Offset += pg
	}
	return append(append(out, second), e[i+1:]...)
}

// TestReconcileKeeps: what the list does not show survives, in both directions of a boundary.
func TestReconcileKeeps(t *testing.T) {
	m, c := newCore(t, coreConfig())
	mmapOp(at(0), 4, rw, fixed|linux.MAP_NORESERVE)(m, c)
	m.Reconcile(split(m.entries(), 0))
	for _, a := range []hostarch.Addr{at(0), at(1)} {
		if _, v, ok := m.Find(a); !ok || v.Flags&VM_NORESERVE == 0 || v.PgOff != uint64(a)/pg {
			t.Errorf("%v: %+v", a, v)
		}
	}
	mprotectOp(at(0), 4, 1)(m, c)
	if got, want := m.show(), "0:1r-- 1:4r--"; got != want {
		t.Errorf("neighbours known to be different merged: %s", got)
	}
}

func TestAdoptLearnsBase(t *testing.T) {
	m, c := newCore(t, coreConfig())
	m.SetMmapBase(0)
	args := MMapArgs{Length: pg, Prot: rw, Flags: private}
	if res := m.MMap(c, args); !res.Unsure {
		t.Fatalf("%+v, want Unsure", res)
	}
	m.Adopt(c, args, testBase-pg)
	if m.MmapBase() != testBase {
		t.Errorf("mmap_base %v, want %v", m.MmapBase(), testBase)
	}
	if res := m.MMap(c, args); res.Addr != testBase-2*pg {
		t.Errorf("next at %v", res.Addr)
	}
}

// TestNoAllocations: the ordinary calls do not allocate once the tree has its nodes.
func TestNoAllocations(t *testing.T) {
	m, c := newCore(t, coreConfig())
	for i := range uint64(50) {
		mmapOp(at(100+3*i), 1, i%2, fixed)(m, c)
	}
	round := func() {
		res := m.MMap(c, MMapArgs{Length: 4 * pg, Prot: rw, Flags: private})
		m.MProtect(c, res.Addr+pg, pg, 1, -1)
		m.MUnmap(c, res.Addr, 4*pg)
		m.Brk(c, testBrk+pg)
		m.Brk(c, testBrk)
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
