//go:build linux && amd64

package difftest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/procmaps"
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

// flagString prints flags as smaps does.
func flagString(f mm.Flags) string {
	var b strings.Builder
	for _, n := range vmFlagNames {
		if f&n.flag != 0 {
			b.WriteString(" " + n.name)
		}
	}
	return b.String()
}

// kernelVMA is a VMA as smaps shows it.
type kernelVMA struct {
	procmaps.Entry
	flags string
}

// readVMAs returns the kernel's list with flags.
func readVMAs(pid int) ([]kernelVMA, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return nil, err
	}
	var list []kernelVMA
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		line := b[:i+1]
		b = b[i+1:]
		switch {
		case bytes.HasPrefix(line, []byte("VmFlags:")):
			var f mm.Flags
			for _, name := range strings.Fields(string(line[8:])) {
				for _, n := range vmFlagNames {
					if n.name == name {
						f |= n.flag
					}
				}
			}
			list[len(list)-1].flags = flagString(f)
		case line[0] >= '0' && line[0] <= '9' || line[0] >= 'a' && line[0] <= 'f':
			e, err := procmaps.Parse(line)
			if err != nil {
				return nil, err
			}
			list = append(list, kernelVMA{Entry: e[0]})
		}
	}
	if n := len(list); n > 0 && list[n-1].Name == "[vsyscall]" {
		list = list[:n-1]
	}
	return list, nil
}

// entries returns the list without flags.
func entries(list []kernelVMA) []procmaps.Entry {
	out := make([]procmaps.Entry, len(list))
	for i := range list {
		out[i] = list[i].Entry
	}
	return out
}

// compareVMAs returns the first difference between the lists, or "".
func compareVMAs(m *mm.MemoryManager, list []kernelVMA) string {
	i := 0
	for r, v := range m.All() {
		if i == len(list) {
			return fmt.Sprintf("the model has another VMA %v%s", r, flagString(v.Flags))
		}
		k := &list[i]
		i++
		if r != k.Range {
			return fmt.Sprintf("VMA %v%s in the model, %v%s in the kernel", r, flagString(v.Flags), k.Range, k.flags)
		}
		if f := flagString(v.Flags); f != k.flags {
			return fmt.Sprintf("VMA %v: flags%s in the model,%s in the kernel", r, f, k.flags)
		}
		if v.File != nil && v.PgOff<<hostarch.PageShift != k.Offset {
			return fmt.Sprintf("VMA %v: offset %#x in the model, %#x in the kernel", r, v.PgOff<<hostarch.PageShift, k.Offset)
		}
		if v.File != nil && v.File.Ino != 0 && (v.File.Ino != k.Ino || v.File.Dev != k.Dev()) {
			return fmt.Sprintf("VMA %v: file %#x:%d in the model, %#x:%d in the kernel", r, v.File.Dev, v.File.Ino, k.Dev(), k.Ino)
		}
	}
	if i < len(list) {
		return fmt.Sprintf("the kernel has another VMA %v%s", list[i].Range, list[i].flags)
	}
	return ""
}

// compareTotals returns the first counter that differs, or "".
func compareTotals(t mm.Totals, pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err.Error()
	}
	var exec uint64
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		kb, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			continue
		}
		pages := kb / 4
		var model uint64
		switch name {
		case "VmSize":
			model = t.TotalVM
		case "VmLck":
			model = t.LockedVM
		case "VmData":
			model = t.DataVM
		case "VmStk":
			model = t.StackVM
		case "VmExe":
			exec = pages // VmExe and VmLib together are exec_vm
			continue
		case "VmLib":
			model, pages = t.ExecVM, pages+exec
		default:
			continue
		}
		if model != pages {
			return fmt.Sprintf("%s: %d pages in the model, %d in the kernel", name, model, pages)
		}
	}
	return ""
}

// heapOf returns start_data, end_data and start_brk.
func heapOf(pid int) (startData, endData, startBrk hostarch.Addr, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest) // from the third field on
	var v [3]hostarch.Addr
	for i := range v {
		n, err := strconv.ParseUint(f[45-3+i], 10, 64)
		if err != nil {
			return 0, 0, 0, err
		}
		v[i] = hostarch.Addr(n)
	}
	return v[0], v[1], v[2], nil
}
