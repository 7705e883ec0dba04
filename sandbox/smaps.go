package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/mm"
)

// charged is a mapping in /proc/PID/smaps and what it says about what the kernel charges for it.
type charged struct {
	hostarch.AddrRange
	account bool   // private memory that is charged ("ac")
	huge    bool   // private memory of huge pages
	object  string // inode of shared anonymous memory, or ""
}

// parseSmaps parses /proc/PID/smaps.
func parseSmaps(b []byte) ([]charged, error) {
	var list []charged
	var head [][]byte // the line that begins a mapping: range, permissions, offset, device, inode, name
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		f := bytes.Fields(line)
		switch {
		case len(f) == 0:
		case !bytes.HasSuffix(f[0], []byte(":")):
			head = f
		case string(f[0]) == "VmFlags:":
			c, err := chargedAs(head, f[1:])
			if err != nil {
				return nil, err
			}
			list = append(list, c)
		}
	}
	return list, nil
}

// chargedAs returns the mapping whose lines begin with head and end with these flags.
func chargedAs(head, flags [][]byte) (charged, error) {
	const inode, name = 4, 5
	var c charged
	if len(head) <= inode {
		return c, errors.New("smaps: flags without a mapping")
	}
	start, end, _ := strings.Cut(string(head[0]), "-")
	for _, x := range []struct {
		text string
		to   *hostarch.Addr
	}{{start, &c.Start}, {end, &c.End}} {
		n, err := strconv.ParseUint(x.text, 16, 64)
		if err != nil {
			return c, fmt.Errorf("smaps: %w", err)
		}
		*x.to = hostarch.Addr(n)
	}
	has := make(map[string]bool)
	for _, f := range flags {
		has[string(f)] = true
	}
	c.account = has["ac"]
	c.huge = has["ht"] && !has["sh"]
	if has["sh"] && len(head) > name && string(head[name]) == "/dev/zero" {
		c.object = string(head[inode])
	}
	return c, nil
}

// compareCharges returns where the model counts otherwise than the kernel does.
func compareCharges(list []charged, m *mm.MemoryManager) error {
	objects := make(map[string]bool)
	for _, c := range list {
		for addr := c.Start; addr < c.End; {
			r, v, ok := m.Find(addr)
			if !ok {
				break // a stack that has grown since the model was told
			}
			account, huge := v.Flags&mm.VM_ACCOUNT != 0, v.Flags&(mm.VM_HUGETLB|mm.VM_SHARED) == mm.VM_HUGETLB
			if account && !c.account && v.File == nil && v.Flags&mm.VM_WRITE == 0 {
				// mprotect gives anonymous memory back that was never touched, which is not known.
				account = false
			}
			if account != c.account || huge != c.huge {
				return fmt.Errorf("%v of %v is charged (private %v, huge pages %v), and in smaps (%v, %v)", r, c.AddrRange, account, huge, c.account, c.huge)
			}
			addr = r.End
		}
		if c.object != "" {
			objects[c.object] = true
		}
	}
	known := 0
	for f := range m.Objects() {
		if f.Kind == mm.Shmem {
			known++
		}
	}
	if known != len(objects) {
		return fmt.Errorf("%d objects of shared memory are charged, and smaps has %d", known, len(objects))
	}
	return nil
}
