package mm

import (
	"math"
	"slices"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
	"pgregory.net/rapid"
)

// all returns every VMA with its range.
func (m *MemoryManager) all() []segment.Segment[VMA] { return slices.Collect(m.vmas.All()) }

// drawCall makes one random call, which often meets VMAs of former ones.
func drawCall(t *rapid.T, m *MemoryManager, c *Caller, files []*File) Result {
	addr := at(rapid.Uint64Range(0, 24).Draw(t, "page"))
	length := rapid.Uint64Range(0, 9).Draw(t, "pages") * pg
	prot := rapid.SampledFrom([]uint64{0, 1, 3, 5, 7}).Draw(t, "prot")
	switch rapid.IntRange(0, 9).Draw(t, "call") {
	case 0, 1, 2, 3:
		a := MMapArgs{Addr: addr, Length: length, Prot: prot}
		a.Flags = rapid.SampledFrom([]uint64{linux.MAP_PRIVATE, linux.MAP_SHARED}).Draw(t, "type")
		a.Flags |= rapid.SampledFrom([]uint64{0, linux.MAP_FIXED, linux.MAP_FIXED, linux.MAP_FIXED_NOREPLACE, linux.MAP_LOCKED, linux.MAP_GROWSDOWN, linux.MAP_NORESERVE, linux.MAP_STACK}).Draw(t, "flags")
		if a.File = rapid.SampledFrom(files).Draw(t, "file"); a.File == nil {
			a.Flags |= linux.MAP_ANONYMOUS
		} else {
			a.Offset = length
		}
		return m.MMap(c, a)
	case 4, 5:
		return m.MUnmap(c, addr, length)
	case 6, 7:
		return m.MProtect(c, addr, length, prot, -1)
	default:
		return m.Brk(c, testBrk+hostarch.Addr(length)/2)
	}
}

// TestCoreProperties makes random calls under random limits. After each, the state is sound and
// equal to what the list shows of it; a refused call has changed nothing; a snapshot is not
// disturbed by what follows; a fork and its parent do not disturb each other.
func TestCoreProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := []*File{nil, nil,
			{Readable: true, Writable: true, Dev: 0x801, Ino: 5, Name: "/a"},
			{Readable: true, Dev: 0x801, Ino: 6, Name: "/b", THPArea: true},
			{Kind: DevZero, Readable: true, Writable: true, Dev: 5, Ino: 7, Name: "/dev/zero", MaxSize: math.MaxUint64},
			{Kind: SysV, Readable: true, Writable: true, Dev: 1, Ino: 8, Name: "/SYSV"},
		}
		cfg := coreConfig()
		cfg.MaxMapCount = rapid.IntRange(1, 20).Draw(t, "max_map_count")
		m, c := newCoreRapid(t, cfg)
		c.Limits.AS = rapid.SampledFrom([]uint64{linux.RLIM_INFINITY, 60 * pg}).Draw(t, "as")
		c.Limits.Data = rapid.SampledFrom([]uint64{linux.RLIM_INFINITY, 10*pg + 1}).Draw(t, "data")
		c.Limits.MemLock = rapid.SampledFrom([]uint64{0, 6 * pg, linux.RLIM_INFINITY}).Draw(t, "memlock")
		m.mdwe = rapid.Bool().Draw(t, "mdwe")
		for range rapid.IntRange(1, 40).Draw(t, "calls") {
			if rapid.IntRange(0, 15).Draw(t, "fork") == 0 {
				parent, was := m, m.all()
				m = m.Fork()
				defer func() {
					if !slices.Equal(parent.all(), was) {
						t.Fatalf("the child changed its parent")
					}
				}()
			}
			before, totals, brk := m.all(), m.Totals(), m.brk
			snap := m.Snapshot()
			res := drawCall(t, m, c, files)
			if err := m.CheckInvariants(); err != nil {
				t.Fatal(err)
			}
			if d := m.diff(m.entries(), true); len(d) != 0 {
				t.Fatalf("differs from itself: %v", d)
			}
			if res.Errno != 0 && !res.Partial && (!slices.Equal(m.all(), before) || m.Totals() != totals || m.brk != brk) {
				t.Fatalf("refused with %s, and yet changed", res.Errno.Name())
			}
			if m.Reconcile(m.entries()) != 0 {
				t.Fatal("Reconcile with itself changed something")
			}
			if rapid.IntRange(0, 7).Draw(t, "restore") == 0 {
				m.Restore(snap)
				if !slices.Equal(m.all(), before) || m.Totals() != totals {
					t.Fatal("the snapshot was disturbed")
				}
			}
		}
	})
}

// newCoreRapid is newCore for rapid.
func newCoreRapid(t *rapid.T, cfg *Config) (*MemoryManager, *Caller) {
	var tb testing.T
	return newCore(&tb, cfg)
}
