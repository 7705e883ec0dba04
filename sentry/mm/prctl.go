package mm

import (
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// SetMDWE forbids memory to be writable and executable, or to become executable
// (prctl PR_SET_MDWE).
//
// Errnos: EINVAL (arguments), EPERM (bits cannot be changed once set).
func (m *MemoryManager) SetMDWE(bits, arg3, arg4, arg5 uint64) Result {
	const known = linux.PR_MDWE_REFUSE_EXEC_GAIN | linux.PR_MDWE_NO_INHERIT
	if arg3|arg4|arg5 != 0 || bits&^known != 0 || bits == linux.PR_MDWE_NO_INHERIT {
		return failed(linux.EINVAL)
	}
	if m.cfg.before(6, 3) || bits&linux.PR_MDWE_NO_INHERIT != 0 && m.cfg.before(6, 6) {
		return failed(linux.EINVAL)
	}
	if now := m.mdweBits(); now != 0 && now != bits {
		return failed(linux.EPERM)
	}
	m.mdwe = bits&linux.PR_MDWE_REFUSE_EXEC_GAIN != 0
	m.mdweNoInherit = bits&linux.PR_MDWE_NO_INHERIT != 0
	return succeeded(0)
}

// GetMDWE returns the bits of SetMDWE as Result.Addr (prctl PR_GET_MDWE).
func (m *MemoryManager) GetMDWE(arg2, arg3, arg4, arg5 uint64) Result {
	if arg2|arg3|arg4|arg5 != 0 || m.cfg.before(6, 3) {
		return failed(linux.EINVAL)
	}
	return succeeded(hostarch.Addr(m.mdweBits()))
}

func (m *MemoryManager) mdweBits() (bits uint64) {
	if m.mdwe {
		bits |= linux.PR_MDWE_REFUSE_EXEC_GAIN
	}
	if m.mdweNoInherit {
		bits |= linux.PR_MDWE_NO_INHERIT
	}
	return bits
}

// SetMemoryMerge lets KSM merge the pages of all memory, present and future, or of none
// (prctl PR_SET_MEMORY_MERGE, ksm_enable_merge_any, ksm_disable_merge_any). The VMAs' flags
// change without that they are merged.
func (m *MemoryManager) SetMemoryMerge(on, arg3, arg4, arg5 uint64) Result {
	if !m.cfg.KSM || arg3|arg4|arg5 != 0 {
		return failed(linux.EINVAL)
	}
	if (on != 0) == m.mergeAny {
		return succeeded(0)
	}
	m.mergeAny = on != 0
	m.ops++
	var change []segment.Segment[VMA]
	for seg := range m.vmas.All() {
		f := seg.Value.Flags &^ VM_MERGEABLE
		if m.mergeAny && (seg.Value.Flags&VM_MERGEABLE != 0 || seg.Value.canKSM()) {
			f |= VM_MERGEABLE
		}
		if f != seg.Value.Flags {
			seg.Value.Flags = f
			change = append(change, seg)
		}
	}
	for _, seg := range change {
		m.vmas.Update(seg.Start, seg.Start, seg.End, seg.Value)
		m.loose = true
	}
	return succeeded(0)
}

// GetMemoryMerge returns whether SetMemoryMerge is on, as Result.Addr.
func (m *MemoryManager) GetMemoryMerge(arg2, arg3, arg4, arg5 uint64) Result {
	if !m.cfg.KSM || arg2|arg3|arg4|arg5 != 0 {
		return failed(linux.EINVAL)
	}
	if m.mergeAny {
		return succeeded(1)
	}
	return succeeded(0)
}

// prTHPExceptAdvised is PR_THP_DISABLE_EXCEPT_ADVISED (Linux 6.18).
const prTHPExceptAdvised = 1 << 1

// SetTHPDisable turns transparent huge pages off for the process (prctl PR_SET_THP_DISABLE). The
// pages change, but no VMA and no address does, so that nothing is kept of it.
func (m *MemoryManager) SetTHPDisable(disable, flags, arg4, arg5 uint64) Result {
	if arg4|arg5 != 0 || disable == 0 && flags != 0 || flags&^prTHPExceptAdvised != 0 {
		return failed(linux.EINVAL)
	}
	return succeeded(0)
}

// MapShadowStack maps a shadow stack (sys_map_shadow_stack). Where the machine has them, the host
// decides.
//
// Errnos: ENOSYS or EOPNOTSUPP (there are none), EINVAL (flags), ENOSPC (no room for the token),
// ERANGE (an address below 4 GiB), EOVERFLOW.
func (m *MemoryManager) MapShadowStack(c *Caller, addr hostarch.Addr, size, flags uint64) Result {
	const setToken = 1 // SHADOW_STACK_SET_TOKEN
	switch {
	case m.cfg.NoShadowStack:
		return failed(linux.ENOSYS)
	case !m.cfg.UserShadowStack:
		return failed(linux.EOPNOTSUPP)
	case flags&^setToken != 0:
		return failed(linux.EINVAL)
	case flags&setToken != 0 && size < 8:
		return failed(linux.ENOSPC)
	case addr != 0 && addr < above4G:
		return failed(linux.ERANGE)
	case hostarch.PageAlign(size) < size:
		return failed(linux.EOVERFLOW)
	}
	return Result{Unsure: true}
}
