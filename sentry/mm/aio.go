package mm

import (
	"slices"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
)

// aioEventSize is the size of struct io_event and of the header before them (struct aio_ring).
const aioEventSize = 32

// ringLength returns the bytes that the ring of an AIO context for nrEvents events takes
// (ioctx_alloc, aio_setup_ring); 0 when there are too many. The kernel doubles the events, since
// up to half of them may be set aside on other cpus.
func (m *MemoryManager) ringLength(nrEvents uint32) uint64 {
	n := 2 * max(uint64(nrEvents), 4*uint64(m.cfg.CPUs))
	if uint32(n) > 0x10000000/aioEventSize || n>>32 != 0 {
		return 0
	}
	return hostarch.PageAlign(aioEventSize * (1 + n + 2))
}

// IoSetup maps the completion ring of a new AIO context (sys_io_setup). Result.Addr is where the
// ring is, which is also the context's identifier; the call itself returns 0.
//
// Unsure where the number of cpus is not known. Errnos: EINVAL (nrEvents is 0 or too large),
// ENOMEM (any reason for which the ring cannot be mapped). EAGAIN, when the system has too many
// contexts (fs.aio-max-nr), is the host's to answer.
func (m *MemoryManager) IoSetup(c *Caller, nrEvents uint32) Result {
	if nrEvents == 0 {
		return failed(linux.EINVAL)
	}
	if m.cfg.CPUs == 0 {
		return Result{Unsure: true}
	}
	length := m.ringLength(nrEvents)
	if length == 0 {
		return failed(linux.EINVAL)
	}
	a := ringArgs(length)
	res := m.MMap(c, a)
	if res.Errno != 0 {
		res.Errno = linux.ENOMEM // aio_setup_ring does not say why
	} else if !res.Unsure {
		m.aioRings = append(slices.Clip(m.aioRings), a.File)
	}
	return res
}

// AdoptIoSetup records the ring of length bytes that the host mapped at addr.
func (m *MemoryManager) AdoptIoSetup(c *Caller, addr hostarch.Addr, length uint64) {
	a := ringArgs(hostarch.PageAlign(length))
	m.Adopt(c, a, addr)
	m.aioRings = append(slices.Clip(m.aioRings), a.File)
}

// ringArgs returns the mmap of an AIO ring. Its file is the context's own, on a filesystem from
// which nothing can be executed.
func ringArgs(length uint64) MMapArgs {
	return MMapArgs{
		Length: length, Prot: linux.PROT_READ | linux.PROT_WRITE, Flags: linux.MAP_SHARED,
		File: &File{Kind: Ring, Name: "/[aio] (deleted)", Readable: true, Writable: true, NoExec: true, Size: length},
	}
}

// IoDestroy unmaps the ring of the context addr (sys_io_destroy): as many bytes as it had at first,
// whatever lies there now. A ring that cannot be unmapped, because it is sealed, stays.
//
// The kernel reads the context's number from the ring's first page. A ring that was torn to pieces
// is Unsure. Errnos: EINVAL (no ring of this process's begins there, or it cannot be read).
func (m *MemoryManager) IoDestroy(addr hostarch.Addr) Result {
	seg, ok := m.vmas.At(uint64(addr))
	v := &seg.Value
	switch {
	case !ok || v.File == nil || v.File.Kind != Ring || v.Flags&vmAccess == 0:
		return failed(linux.EINVAL)
	case !m.ownsRing(v.File):
		return failed(linux.EINVAL)
	case v.File.UnsureIdentity, seg.Start != uint64(addr), v.PgOff != 0, seg.End-seg.Start != v.File.Size:
		return Result{Unsure: true}
	}
	m.AdoptIoDestroy(addr, v.File.Size)
	return succeeded(0)
}

// ownsRing reports whether the context of a ring is this address space's: it may be that of a process
// that forked, or gone. A ring of which nothing is known is taken for one's own.
func (m *MemoryManager) ownsRing(f *File) bool {
	return f.UnsureIdentity || slices.Contains(m.aioRings, f)
}

// AdoptIoDestroy records that the host destroyed the context whose ring had length bytes.
func (m *MemoryManager) AdoptIoDestroy(addr hostarch.Addr, length uint64) {
	start := uint64(addr)
	if seg, ok := m.vmas.At(start); ok {
		m.aioRings = slices.DeleteFunc(slices.Clone(m.aioRings), func(f *File) bool { return f == seg.Value.File })
	}
	if errno := m.checkUnmap(start, start+length); errno != 0 {
		m.unmapFailed(start, start+length, errno)
		return
	}
	m.ops++
	m.unmap(start, start+length)
}
