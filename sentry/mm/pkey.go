package mm

import "github.com/runsbx/runsbx/sentry/linux"

// PkeyAlloc allocates a protection key (sys_pkey_alloc). Where the processor has them, the host
// decides which.
//
// Without them one key counts as there until the first call, which fails only when it wants to
// set the key's rights, having used it up. Errnos: EINVAL (arguments, or that first call), ENOSPC.
func (m *MemoryManager) PkeyAlloc(flags, rights uint64) Result {
	const known = 0x3 // PKEY_ACCESS_MASK
	switch {
	case flags != 0, rights&^known != 0:
		return failed(linux.EINVAL)
	case m.cfg.Pkeys:
		return Result{Unsure: true}
	case m.pkeyTried:
		return failed(linux.ENOSPC)
	}
	m.pkeyTried = true
	return failed(linux.EINVAL)
}

// PkeyFree frees a protection key (sys_pkey_free). Which ones a program allocated is not followed.
//
// Errnos: EINVAL (not allocated).
func (m *MemoryManager) PkeyFree(pkey int) Result {
	if !m.cfg.Pkeys || pkey < 0 || pkey > 15 {
		return failed(linux.EINVAL)
	}
	return Result{Unsure: true}
}
