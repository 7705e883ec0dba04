package sandbox

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/mm"
)

// accounts is what /proc/PID/smaps implies that a process is to be charged for. Amounts are pages.
type accounts struct {
	private uint64          // VMAs that the kernel has charged ("ac"), but for stacks
	stacks  uint64          // stacks ("gd") that it has charged
	huge    uint64          // private mappings of huge pages
	shared  map[string]bool // shared anonymous memory, by inode
}

// parseSmaps parses /proc/PID/smaps.
func parseSmaps(b []byte) (*accounts, error) {
	a := &accounts{shared: make(map[string]bool)}
	var head [][]byte // the last line that begins a VMA: range, permissions, offset, device, inode, name
	var size uint64
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		f := bytes.Fields(line)
		switch {
		case len(f) == 0:
		case !bytes.HasSuffix(f[0], []byte(":")):
			head = f
		case string(f[0]) == "Size:" && len(f) > 1:
			kb, err := strconv.ParseUint(string(f[1]), 10, 64)
			if err != nil {
				return nil, fmt.Errorf("smaps: %w", err)
			}
			size = kb << 10 >> hostarch.PageShift
		case string(f[0]) == "VmFlags:":
			if len(head) < 5 {
				return nil, fmt.Errorf("smaps: flags without a mapping")
			}
			a.add(head, size, f[1:])
		}
	}
	return a, nil
}

// add counts a VMA of size pages with these flags.
func (a *accounts) add(head [][]byte, size uint64, flags [][]byte) {
	has := func(name string) bool {
		for _, f := range flags {
			if string(f) == name {
				return true
			}
		}
		return false
	}
	switch {
	case has("sh"):
		if len(head) > 5 && string(head[5]) == "/dev/zero" {
			a.shared[string(head[4])] = true
		}
	case has("ht"):
		a.huge += size
	case has("ac") && has("gd"):
		a.stacks += size
	case has("ac"):
		a.private += size
	}
}

// compare returns where the model counts otherwise. A stack may have grown since the model was told.
func (a *accounts) compare(m *mm.MemoryManager) error {
	var private, stacks, huge uint64
	for r, v := range m.All() {
		n := hostarch.Pages(r.Length())
		switch {
		case v.Flags&(mm.VM_ACCOUNT|mm.VM_GROWSDOWN) == mm.VM_ACCOUNT|mm.VM_GROWSDOWN:
			stacks += n
		case v.Flags&mm.VM_ACCOUNT != 0:
			private += n
		case v.Flags&(mm.VM_HUGETLB|mm.VM_SHARED) == mm.VM_HUGETLB:
			huge += n
		}
	}
	objects := 0
	for f := range m.Objects() {
		if f.Kind == mm.Shmem {
			objects++
		}
	}
	switch {
	case private != a.private:
		return fmt.Errorf("%d pages of private memory are charged, smaps has %d", private, a.private)
	case stacks > a.stacks:
		return fmt.Errorf("%d pages of stacks are charged, smaps has %d", stacks, a.stacks)
	case huge != a.huge:
		return fmt.Errorf("%d pages of huge pages are charged, smaps has %d", huge, a.huge)
	case objects != len(a.shared):
		return fmt.Errorf("%d objects of shared memory are charged, smaps has %d", objects, len(a.shared))
	}
	return nil
}
