package mm

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"pgregory.net/rapid"
)

// pageModel is the slow and obvious address space: what is mapped at each page, by page number.
// It knows no VMAs. Memory is never touched.
type pageModel map[uint64]pageState

type pageState struct {
	flags  Flags
	file   *File
	pgoff  uint64
	policy uint64
}

// anon reports whether the page is private anonymous memory.
func (p pageState) anon() bool { return p.file == nil }

// sealed reports whether any of the n pages from page on is sealed.
func (m pageModel) sealed(page, n uint64) bool {
	for i := range n {
		if m[page+i].flags&VM_SEALED != 0 {
			return true
		}
	}
	return false
}

// remove unmaps n pages.
func (m pageModel) remove(page, n uint64) {
	for i := range n {
		delete(m, page+i)
	}
}

func (m pageModel) munmap(page, n uint64) linux.Errno {
	if m.sealed(page, n) {
		return linux.EPERM
	}
	m.remove(page, n)
	return 0
}

func (m pageModel) mmap(page, n uint64, prot uint64, file *File, pgoff uint64, shared bool) linux.Errno {
	if m.sealed(page, n) {
		return linux.EPERM
	}
	p := pageState{flags: Flags(prot) | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC, file: file}
	if shared {
		p.flags |= VM_SHARED | VM_MAYSHARE
	} else if prot&linux.PROT_WRITE != 0 {
		p.flags |= VM_ACCOUNT
	}
	for i := range n {
		p.pgoff = page + i
		if file != nil {
			p.pgoff = pgoff + i
		}
		m[page+i] = p
	}
	return 0
}

// each changes the mapped pages one by one until change refuses. What a hole means is said by
// stopAtHole.
func (m pageModel) each(page, n uint64, stopAtHole bool, change func(p *pageState) linux.Errno) linux.Errno {
	hole := linux.Errno(0)
	for i := range n {
		p, ok := m[page+i]
		if !ok {
			hole = linux.ENOMEM
			if stopAtHole {
				return hole
			}
			continue
		}
		if errno := change(&p); errno != 0 {
			return errno
		}
		m[page+i] = p
	}
	return hole
}

func (m pageModel) mprotect(page, n uint64, prot uint64) linux.Errno {
	return m.each(page, n, true, func(p *pageState) linux.Errno {
		if p.flags&VM_SEALED != 0 {
			return linux.EPERM
		}
		old := p.flags
		p.flags = p.flags&^vmAccess | Flags(prot)
		if prot&linux.PROT_WRITE != 0 && p.flags&VM_SHARED == 0 {
			p.flags |= VM_ACCOUNT
		} else if old&VM_ACCOUNT != 0 && p.anon() && prot&linux.PROT_WRITE == 0 && old != p.flags {
			p.flags &^= VM_ACCOUNT
		}
		return 0
	})
}

func (m pageModel) madvise(page, n uint64, advice int) linux.Errno {
	return m.each(page, n, false, func(p *pageState) linux.Errno {
		discard := advice == linux.MADV_DONTFORK || advice == linux.MADV_DONTNEED || advice == linux.MADV_WIPEONFORK
		if p.flags&VM_SEALED != 0 && discard && p.anon() && p.flags&VM_WRITE == 0 {
			return linux.EPERM
		}
		switch advice {
		case linux.MADV_DONTFORK:
			p.flags |= VM_DONTCOPY
		case linux.MADV_DOFORK:
			p.flags &^= VM_DONTCOPY
		case linux.MADV_RANDOM:
			p.flags = p.flags&^VM_SEQ_READ | VM_RAND_READ
		case linux.MADV_NORMAL:
			p.flags &^= VM_SEQ_READ | VM_RAND_READ
		case linux.MADV_DONTNEED:
			if p.flags&VM_LOCKED != 0 {
				return linux.EINVAL
			}
		case linux.MADV_WIPEONFORK:
			if !p.anon() {
				return linux.EINVAL
			}
			p.flags |= VM_WIPEONFORK
		}
		return 0
	})
}

func (m pageModel) lock(page, n uint64, add Flags) linux.Errno {
	return m.each(page, n, true, func(p *pageState) linux.Errno {
		p.flags = p.flags&^vmLockedMask | add
		return 0
	})
}

func (m pageModel) full(page, n uint64) bool {
	for i := range n {
		if _, ok := m[page+i]; !ok {
			return false
		}
	}
	return true
}

func (m pageModel) mseal(page, n uint64) linux.Errno {
	if !m.full(page, n) {
		return linux.ENOMEM
	}
	return m.each(page, n, true, func(p *pageState) linux.Errno { p.flags |= VM_SEALED; return 0 })
}

func (m pageModel) mbind(page, n, policy uint64) linux.Errno {
	if policy != 0 && !m.full(page, n) {
		return linux.EFAULT
	}
	found := false
	m.each(page, n, false, func(p *pageState) linux.Errno { p.policy = policy; found = true; return 0 })
	if !found {
		return linux.EFAULT
	}
	return 0
}

// move is mremap with MREMAP_FIXED of pages that lie in one VMA; left is how many pages of it
// there are from page on.
func (m pageModel) move(page, from, to, n, left uint64) linux.Errno {
	switch {
	case page < to+n && to < page+from:
		return linux.EINVAL
	case m[page].flags == 0:
		return linux.EFAULT
	case m[page].flags&VM_SEALED != 0:
		return linux.EPERM
	case min(from, n) > left:
		return linux.EFAULT
	case m.sealed(to, n):
		return linux.EPERM
	}
	p := m[page]
	m.remove(to, n)
	if n < from && m.sealed(page+n, from-n) {
		return linux.EPERM // the destination is gone already
	}
	m.remove(page, from)
	for i := range n {
		q := p
		q.pgoff = p.pgoff + i
		if p.anon() {
			q.pgoff = to + i
		}
		m[to+i] = q
	}
	return 0
}

// grow is mremap without flags.
func (m pageModel) grow(page, from, n, left uint64) linux.Errno {
	p, ok := m[page]
	switch {
	case !ok:
		return linux.EFAULT
	case p.flags&VM_SEALED != 0:
		return linux.EPERM
	case n <= from:
		return m.munmap(page+n, from-n)
	case from > left:
		return linux.EFAULT
	}
	for i := from; i < n; i++ {
		if _, taken := m[page+i]; taken {
			return linux.ENOMEM
		}
	}
	if from != left {
		return linux.ENOMEM
	}
	for i := from; i < n; i++ {
		q := p
		q.pgoff += i
		m[page+i] = q
	}
	return 0
}

// vmas returns the fewest VMAs that show the pages, as "start-end flags".
func (m pageModel) vmas() []string {
	var out []string
	pages := slices.Sorted(maps.Keys(m))
	for i := 0; i < len(pages); {
		first := m[pages[i]]
		j := i + 1
		for j < len(pages) && pages[j] == pages[i]+uint64(j-i) {
			next := first
			next.pgoff += uint64(j - i)
			if m[pages[j]] != next {
				break
			}
			j++
		}
		out = append(out, fmt.Sprintf("%d-%d %x %d %x", pages[i], pages[i]+uint64(j-i), first.flags, first.pgoff, first.policy))
		i = j
	}
	return out
}

// pagesOf returns the manager's pages below the model's reach.
func pagesOf(m *MemoryManager) pageModel {
	p := pageModel{}
	for s := range m.vmas.All() {
		for at := s.Start; at < s.End && s.End <= uint64(at32); at += pg {
			v := clip(s, at, s.End).Value
			p[at/pg] = pageState{v.Flags, v.File, v.PgOff, policyOf(&v)}
		}
	}
	return p
}

// at32 is above everything that the model maps, and below the stack.
const at32 = hostarch.Addr(1) << 40

// TestAgainstPages makes random calls on the manager and on the pages, and compares answers,
// pages and VMAs.
func TestAgainstPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := newCoreRapid(t, coreConfig())
		m.AssumeUntouched()
		m.loose = false
		c.Creds.IPCLock = true
		model := pageModel{}
		files := []*File{nil, {Readable: true, Writable: true, Ino: 1}}
		const base = 0x10000
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			page := base + rapid.Uint64Range(0, 30).Draw(t, "page")
			n := rapid.Uint64Range(1, 9).Draw(t, "n")
			to := base + rapid.Uint64Range(0, 30).Draw(t, "to")
			from := rapid.SampledFrom([]uint64{n, n, rapid.Uint64Range(1, 9).Draw(t, "from")}).Draw(t, "old")
			prot := rapid.SampledFrom([]uint64{0, 1, 3, 3}).Draw(t, "prot")
			addr, length := hostarch.Addr(page*pg), n*pg
			left := uint64(0)
			if s, ok := m.vmas.At(uint64(addr)); ok {
				left = s.End/pg - page
			}
			var res Result
			var want linux.Errno
			switch rapid.IntRange(0, 11).Draw(t, "call") {
			case 0, 1, 2:
				f, shared := rapid.SampledFrom(files).Draw(t, "file"), false
				a := MMapArgs{Addr: addr, Length: length, Prot: prot, File: f, Flags: linux.MAP_FIXED | linux.MAP_PRIVATE}
				if f == nil {
					a.Flags |= linux.MAP_ANONYMOUS
				} else if shared = rapid.Bool().Draw(t, "shared"); shared {
					a.Flags = linux.MAP_FIXED | linux.MAP_SHARED
				}
				a.Offset = to % 4 * pg
				res, want = m.MMap(c, a), model.mmap(page, n, prot, f, to%4, shared)
			case 3:
				res, want = m.MUnmap(c, addr, length), model.munmap(page, n)
			case 4, 5:
				res, want = m.MProtect(c, addr, length, prot, -1), model.mprotect(page, n, prot)
			case 6:
				advice := rapid.SampledFrom([]int{linux.MADV_DONTFORK, linux.MADV_DOFORK, linux.MADV_RANDOM,
					linux.MADV_NORMAL, linux.MADV_DONTNEED, linux.MADV_WIPEONFORK}).Draw(t, "advice")
				res, want = m.MAdvise(c, addr, length, advice), model.madvise(page, n, advice)
			case 7:
				if rapid.Bool().Draw(t, "lock") {
					res, want = m.MLock(c, addr, length, linux.MLOCK_ONFAULT), model.lock(page, n, vmLockedMask)
				} else {
					res, want = m.MUnlock(c, addr, length), model.lock(page, n, 0)
				}
			case 8:
				if n > 2 || page%3 != 0 {
					continue // sealed pages stay for ever
				}
				res, want = m.MSeal(c, addr, length, 0), model.mseal(page, n)
			case 9:
				policy := rapid.Uint64Range(0, 2).Draw(t, "policy")
				stored := policy
				if policy != 0 {
					stored |= mpolBind << policyModeShift
				}
				res, want = m.MBind(c, addr, length, policy&-policy&1*mpolBind|policy>>1*mpolBind, policy, 0), model.mbind(page, n, stored)
			case 10:
				if from == n && left < n {
					continue // several VMAs move one by one
				}
				res = m.MRemap(c, addr, from*pg, length, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, hostarch.Addr(to*pg))
				want = model.move(page, from, to, n, left)
				if want == 0 && res.Addr != hostarch.Addr(to*pg) {
					t.Fatalf("moved to %v", res.Addr)
				}
			case 11:
				res, want = m.MRemap(c, addr, from*pg, length, 0, 0), model.grow(page, from, n, left)
			}
			if res.Errno != want {
				t.Fatalf("answered %s, want %s", res.Errno.Name(), want.Name())
			}
			if err := m.CheckInvariants(); err != nil {
				t.Fatal(err)
			}
			if got := pagesOf(m); !maps.Equal(got, model) {
				t.Fatalf("pages:\n%q, want\n%q", got.vmas(), model.vmas())
			}
			if !m.loose && m.Totals().MapCount-1 != len(model.vmas()) {
				t.Fatalf("%d VMAs for %q", m.Totals().MapCount-1, model.vmas())
			}
		}
	})
}
