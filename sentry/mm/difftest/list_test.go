package difftest

import (
	"fmt"
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/mm"
)

// vmFlagNames are the names of VM_* bits in smaps (show_smap_vma_flags) that the model follows.
var vmFlagNames = []struct {
	name string
	flag mm.Flags
}{
	{"rd", mm.VM_READ}, {"wr", mm.VM_WRITE}, {"ex", mm.VM_EXEC}, {"sh", mm.VM_SHARED},
	{"mr", mm.VM_MAYREAD}, {"mw", mm.VM_MAYWRITE}, {"me", mm.VM_MAYEXEC}, {"ms", mm.VM_MAYSHARE},
	{"gd", mm.VM_GROWSDOWN}, {"pf", mm.VM_PFNMAP}, {"gu", mm.VM_MAYBE_GUARD}, {"lo", mm.VM_LOCKED}, {"io", mm.VM_IO},
	{"sr", mm.VM_SEQ_READ}, {"rr", mm.VM_RAND_READ}, {"dc", mm.VM_DONTCOPY}, {"de", mm.VM_DONTEXPAND},
	{"lf", mm.VM_LOCKONFAULT}, {"ac", mm.VM_ACCOUNT}, {"nr", mm.VM_NORESERVE}, {"ht", mm.VM_HUGETLB},
	{"sf", mm.VM_SYNC}, {"wf", mm.VM_WIPEONFORK}, {"dd", mm.VM_DONTDUMP}, {"mm", mm.VM_MIXEDMAP},
	{"hg", mm.VM_HUGEPAGE}, {"nh", mm.VM_NOHUGEPAGE}, {"mg", mm.VM_MERGEABLE}, {"ss", mm.VM_SHADOW_STACK},
	{"dp", mm.VM_DROPPABLE}, {"sl", mm.VM_SEALED},
}

var (
	flagByName = map[string]mm.Flags{}
	shownFlags mm.Flags // those that smaps shows
)

func init() {
	for _, n := range vmFlagNames {
		flagByName[n.name] = n.flag
		shownFlags |= n.flag
	}
}

// flagString prints flags as smaps does.
func flagString(f mm.Flags) string {
	var names []string
	for _, n := range vmFlagNames {
		if f&n.flag != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, " ")
}

// mapFlags are those of which maps shows something.
const mapFlags = mm.VM_READ | mm.VM_WRITE | mm.VM_EXEC | mm.VM_MAYSHARE

// vma is a line of the kernel's list.
type vma struct {
	start, end, off uint64 // bytes
	dev, ino        uint64
	perms           mm.Flags // of mapFlags
}

func (v vma) String() string {
	b := []byte("---p")
	for i, f := range []mm.Flags{mm.VM_READ, mm.VM_WRITE, mm.VM_EXEC, mm.VM_MAYSHARE} {
		if v.perms&f != 0 {
			b[i] = "rwxs"[i]
		}
	}
	return fmt.Sprintf("%x-%x %s %x %x:%d", v.start, v.end, b, v.off, v.dev, v.ino)
}

// parseVMA reads what String printed.
func parseVMA(s string) (v vma, err error) {
	var perms string
	if _, err = fmt.Sscanf(s, "%x-%x %s %x %x:%d", &v.start, &v.end, &perms, &v.off, &v.dev, &v.ino); err != nil {
		return v, err
	}
	if len(perms) != 4 {
		return v, fmt.Errorf("no permissions: %q", s)
	}
	for i, f := range []mm.Flags{mm.VM_READ, mm.VM_WRITE, mm.VM_EXEC, mm.VM_MAYSHARE} {
		if perms[i] == "rwxs"[i] {
			v.perms |= f
		}
	}
	return v, nil
}

// counters are those of /proc/PID/status, in pages.
type counters struct {
	size, locked, data, stack uint64
	exec                      uint64 // VmExe and VmLib together
}

// state is what the kernel shows of an address space. The flags, one for each VMA, and the counters
// are not looked at after every call; full says that they are there.
type state struct {
	vmas  []vma
	full  bool
	flags []mm.Flags
	sums  counters
}

// compare returns the first difference between the model and the kernel's state, or "".
func compare(m *mm.MemoryManager, s *state) string {
	i := 0
	for r, v := range m.All() {
		if i == len(s.vmas) {
			return fmt.Sprintf("the model has another VMA %v %s", r, flagString(v.Flags))
		}
		k := &s.vmas[i]
		switch {
		case uint64(r.Start) != k.start || uint64(r.End) != k.end:
			return fmt.Sprintf("VMA %v %s in the model, %v in the kernel", r, flagString(v.Flags), k)
		case v.Flags&mapFlags != k.perms:
			return fmt.Sprintf("VMA %v: flags %s in the model, %v in the kernel", r, flagString(v.Flags), k)
		case s.full && (v.Flags^s.flags[i])&shownFlags != 0:
			return fmt.Sprintf("VMA %v: flags %s in the model, %s in the kernel", r, flagString(v.Flags), flagString(s.flags[i]))
		case v.File == nil && k.ino != 0:
			return fmt.Sprintf("VMA %v: no file in the model, %x:%d in the kernel", r, k.dev, k.ino)
		case v.File != nil && v.PgOff<<hostarch.PageShift != k.off:
			return fmt.Sprintf("VMA %v: offset %#x in the model, %#x in the kernel", r, v.PgOff<<hostarch.PageShift, k.off)
		case v.File != nil && v.File.Ino != 0 && (v.File.Ino != k.ino || v.File.Dev != k.dev):
			return fmt.Sprintf("VMA %v: file %x:%d in the model, %x:%d in the kernel", r, v.File.Dev, v.File.Ino, k.dev, k.ino)
		}
		i++
	}
	if i < len(s.vmas) {
		return fmt.Sprintf("the kernel has another VMA %v", s.vmas[i])
	}
	if !s.full {
		return ""
	}
	t := m.Totals()
	if sums := (counters{t.TotalVM, t.LockedVM, t.DataVM, t.StackVM, t.ExecVM}); sums != s.sums {
		return fmt.Sprintf("pages (size, locked, data, stack, exec): %v in the model, %v in the kernel", sums, s.sums)
	}
	return ""
}

// dump prints both lists.
func dump(m *mm.MemoryManager, s *state) string {
	var b strings.Builder
	b.WriteString("model:\n")
	for r, v := range m.All() {
		fmt.Fprintf(&b, "  %v %s off %x anon %+v\n", r, flagString(v.Flags), v.PgOff, v.Anon)
	}
	b.WriteString("kernel:\n")
	for i, k := range s.vmas {
		fmt.Fprintf(&b, "  %v", k)
		if s.full {
			b.WriteString(" " + flagString(s.flags[i]))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
