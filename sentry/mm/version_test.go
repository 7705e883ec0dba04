package mm

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// TestVersions: what moved between kernels, each just before and just after.
func TestVersions(t *testing.T) {
	const huge = hostarch.HugePageSize
	anon := func(length, flags uint64) op {
		return func(m *MemoryManager, c *Caller) Result {
			return m.MMap(c, MMapArgs{Length: length, Prot: rw, Flags: flags})
		}
	}
	advise := func(addr hostarch.Addr, advice int) op {
		return func(m *MemoryManager, c *Caller) Result { return m.MAdvise(c, addr, pg, advice) }
	}
	mdwe := func(bits uint64) op {
		return func(m *MemoryManager, c *Caller) Result { return m.SetMDWE(bits, 0, 0, 0) }
	}
	move := func(m *MemoryManager, c *Caller) Result {
		return m.MRemap(c, at(0), 2*pg, 2*pg, linux.MREMAP_MAYMOVE|linux.MREMAP_FIXED, at(20))
	}
	for _, x := range []struct {
		name         string
		major, minor int
		call         op
		errnoBefore  linux.Errno
		addrBefore   hostarch.Addr
		addrAfter    hostarch.Addr
	}{
		{"PR_SET_MDWE", 6, 3, mdwe(linux.PR_MDWE_REFUSE_EXEC_GAIN), linux.EINVAL, 0, 0},
		{"PR_MDWE_NO_INHERIT", 6, 6, mdwe(linux.PR_MDWE_REFUSE_EXEC_GAIN | linux.PR_MDWE_NO_INHERIT), linux.EINVAL, 0, 0},
		{"anonymous memory aligned", 6, 7, anon(huge, private), 0, testBase - huge, 0x7ffff7c00000},
		{"only whole huge pages aligned", 6, 13, anon(huge+pg, private), 0, 0x7ffff7c00000, testBase - huge - pg},
		{"mseal", 6, 10, func(m *MemoryManager, c *Caller) Result { return m.MSeal(c, at(0), pg, 0) }, linux.ENOSYS, 0, 0},
		{"MAP_DROPPABLE", 6, 11, anon(pg, linux.MAP_DROPPABLE|linux.MAP_ANONYMOUS), linux.EINVAL, 0, testBase - pg},
		{"guard regions", 6, 13, advise(at(0), linux.MADV_GUARD_INSTALL), linux.EINVAL, 0, 0},
		{"guard regions in files", 6, 15, advise(at(8), linux.MADV_GUARD_INSTALL), linux.EINVAL, 0, 0},
		{"mremap of several VMAs", 6, 17, move, linux.EFAULT, 0, at(20)},
	} {
		for _, after := range []bool{false, true} {
			cfg := coreConfig()
			cfg.Version = KernelVersion(x.major, x.minor)
			want, errno := x.addrAfter, linux.Errno(0)
			if !after {
				cfg.Version--
				want, errno = x.addrBefore, x.errnoBefore
			}
			m, c := newCore(t, cfg)
			mmapOp(at(0), 1, rw, fixed)(m, c)
			mmapOp(at(1), 1, 1, fixed)(m, c)
			m.MMap(c, MMapArgs{Addr: at(8), Length: pg, Prot: 1, Flags: linux.MAP_PRIVATE | linux.MAP_FIXED, File: &File{Readable: true}})
			if res := x.call(m, c); res.Addr != want || res.Errno != errno {
				t.Errorf("%s, at %d.%d or later %v: %v %s, want %v %s", x.name, x.major, x.minor, after, res.Addr, res.Errno.Name(), want, errno.Name())
			}
		}
	}
	// The stack flag keeps huge pages away, and so apart from other memory.
	for version, want := range map[Version]int{KernelVersion(6, 6): 1, KernelVersion(6, 7): 2} {
		cfg := coreConfig()
		cfg.Version = version
		m, c := newCore(t, cfg)
		before := m.Totals().MapCount
		mmapOp(at(0), 1, rw, fixed)(m, c)
		mmapOp(at(1), 1, rw, fixed|linux.MAP_STACK)(m, c)
		if got := m.Totals().MapCount - before; got != want {
			t.Errorf("MAP_STACK, version %#x: %d VMAs, want %d", version, got, want)
		}
	}
}
