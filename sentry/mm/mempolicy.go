package mm

import (
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/segment"
)

// Modes and flags of mbind (include/uapi/linux/mempolicy.h).
const (
	mpolDefault       = 0
	mpolBind          = 2
	mpolLocal         = 4
	mpolPreferredMany = 5
	mpolMax           = 7

	mpolStaticNodes   = 1 << 15
	mpolRelativeNodes = 1 << 14
	mpolNumaBalancing = 1 << 13
	mpolModeFlags     = mpolStaticNodes | mpolRelativeNodes | mpolNumaBalancing

	mbindStrict  = 1 << 0
	mbindMoveAll = 1 << 2
	mbindMove    = 1 << 1
	mbindValid   = mbindStrict | mbindMove | mbindMoveAll
)

// A VMA's Rare.Policy is what its policy has to differ in to be another one:
//
//	63   60 59            48 47         45 44                     0
//	[ mode )[ home node + 1 )[ mode flags )[ identity of the nodes )
const (
	policyModeShift = 60
	policyHomeShift = 48
	policyFlagShift = 45
	unknownPolicy   = 0xf << policyModeShift // no mode of mbind's
	policyNodesMask = 1<<policyFlagShift - 1
	policyHomeMask  = 1<<policyModeShift - 1<<policyHomeShift
)

// MBind sets the NUMA policy of [addr, addr+length), length rounded up to whole pages (do_mbind).
// mode is that of the call, with its flags; policy is an identity of mode and nodes, of which the
// lower 45 bits are kept; 0 is the default policy. That the nodes are valid is for the caller to
// have checked. With MPOL_MF_STRICT the answer depends on where the pages are, and is Unsure;
// AdoptMBind then takes it over.
//
// Errnos: EINVAL (flags, mode, alignment, or the range wraps), EPERM (MPOL_MF_MOVE_ALL), EFAULT (a
// hole, or nothing but that for the default policy), ENOMEM (vm.max_map_count).
func (m *MemoryManager) MBind(c *Caller, addr hostarch.Addr, length uint64, mode uint64, policy uint64, flags uint64) Result {
	return m.mbind(c, addr, length, mode, policy, flags, false)
}

// AdoptMBind sets the policy as MBind does when the host answered errno to what the manager was
// Unsure of: misplaced pages refuse a policy (EIO), but not when they were to be moved as well.
func (m *MemoryManager) AdoptMBind(c *Caller, addr hostarch.Addr, length uint64, mode uint64, policy uint64, flags uint64, errno linux.Errno) {
	switch errno {
	case linux.EIO:
		if flags&(mbindMove|mbindMoveAll) == 0 {
			return
		}
	case 0, linux.EINVAL, linux.ENOMEM: // a VMA could not be split, those before it were
	default:
		return
	}
	m.mbind(c, addr, length, mode, policy, flags, true)
}

func (m *MemoryManager) mbind(c *Caller, addr hostarch.Addr, length, mode, policy, flags uint64, adopt bool) Result {
	if !m.cfg.NUMA {
		return failed(linux.ENOSYS)
	}
	const staticAndRelative = mpolStaticNodes | mpolRelativeNodes
	bare := mode &^ mpolModeFlags
	switch { // sanitize_mpol_flags
	case bare >= mpolMax, mode&staticAndRelative == staticAndRelative:
		return failed(linux.EINVAL)
	case mode&mpolNumaBalancing != 0 && bare != mpolBind && bare != mpolPreferredMany:
		return failed(linux.EINVAL)
	case flags&^mbindValid != 0:
		return failed(linux.EINVAL)
	case flags&mbindMoveAll != 0 && !c.Creds.SysNice:
		return failed(linux.EPERM)
	case !addr.IsPageAligned():
		return failed(linux.EINVAL)
	}
	start := uint64(addr)
	end := start + hostarch.PageAlign(length)
	if end < start {
		return failed(linux.EINVAL)
	}
	if end == start {
		return succeeded(0)
	}
	var stored uint64
	if bare != mpolDefault {
		if bare == mpolLocal && mode&staticAndRelative != 0 {
			return failed(linux.EINVAL) // mpol_new
		}
		stored = bare<<policyModeShift | mode>>13<<policyFlagShift&(7<<policyFlagShift) | policy&policyNodesMask
	}
	seg, ok := m.vmas.Find(start)
	if ok && seg.Start <= start && stored != 0 && flags&mbindStrict != 0 && !adopt {
		return Result{Unsure: true} // a misplaced page may come before a hole
	}
	if !ok || seg.Start >= end || stored != 0 && m.hasHole(start, end) {
		return failed(linux.EFAULT) // queue_pages_range; the default policy may have holes
	}
	return m.setPolicy(start, end, func(uint64) (uint64, linux.Errno) { return stored, 0 })
}

// AdoptPolicy records that the host gave the VMAs in the range, whose boundaries were taken over from
// its list, a policy of which nothing is known but that it may be none that was there before; or,
// for none, the default.
func (m *MemoryManager) AdoptPolicy(addr hostarch.Addr, length uint64, none bool) {
	m.ops++
	policy := unknownPolicy | uint64(m.ops)
	if none {
		policy = 0
	}
	m.adoptPolicies(addr, length, func(uint64) uint64 { return policy })
}

// AdoptHomeNode records that the host gave a home node to the policies in the range, whose boundaries
// were taken over from its list. What has no policy is passed over, and what had different ones still
// has.
func (m *MemoryManager) AdoptHomeNode(addr hostarch.Addr, length uint64) {
	renamed := map[uint64]uint64{0: 0}
	m.adoptPolicies(addr, length, func(old uint64) uint64 {
		if _, ok := renamed[old]; !ok {
			m.ops++
			renamed[old] = unknownPolicy | uint64(m.ops)
		}
		return renamed[old]
	})
}

// adoptPolicies changes the policies of the VMAs in the range. Nothing is split or merged. One that reaches
// beyond it has become one with a neighbour that had the policy before:
//
//	before   [ policy )[ default )
//	mbind(default)   |
//	after    [      default      )
func (m *MemoryManager) adoptPolicies(addr hostarch.Addr, length uint64, change func(old uint64) uint64) {
	start, end := uint64(addr), uint64(addr)+hostarch.PageAlign(length)
	for seg, ok := m.vmas.Find(start); ok && seg.Start < end; seg, ok = m.vmas.Find(seg.End) {
		if seg.Value.special() != "" {
			continue
		}
		v := seg.Value
		v.Rare = v.Rare.with(func(r *Rare) { r.Policy = change(r.Policy) })
		m.vmas.Update(seg.Start, seg.Start, seg.End, v)
		m.loose = true
	}
}

// hasUnknownPolicy reports whether the VMA's policy may equal one that looks different.
func (v *VMA) hasUnknownPolicy() bool { return policyOf(v)&unknownPolicy == unknownPolicy }

// SetMempolicyHomeNode sets the home node of the policies in [addr, addr+length)
// (sys_set_mempolicy_home_node). VMAs of the default policy are passed over. Nodes but 0 are the
// host's to judge.
//
// Errnos: EINVAL (alignment, flags, or the range wraps), ENOENT (no policy in the range),
// EOPNOTSUPP (a policy without home node).
func (m *MemoryManager) SetMempolicyHomeNode(c *Caller, addr hostarch.Addr, length, homeNode, flags uint64) Result {
	switch {
	case !m.cfg.NUMA:
		return failed(linux.ENOSYS)
	case !addr.IsPageAligned(), flags != 0:
		return failed(linux.EINVAL)
	case homeNode != 0:
		return Result{Unsure: true}
	}
	start := uint64(addr)
	end := start + hostarch.PageAlign(length)
	if end < start {
		return failed(linux.EINVAL)
	}
	if end == start {
		return succeeded(0)
	}
	found := false
	res := m.setPolicy(start, end, func(old uint64) (uint64, linux.Errno) {
		if old == 0 {
			return 0, 0
		}
		if mode := old >> policyModeShift; mode != mpolBind && mode != mpolPreferredMany {
			return old, linux.EOPNOTSUPP
		}
		found = true
		return old&^uint64(policyHomeMask) | (homeNode+1)<<policyHomeShift&policyHomeMask, 0
	})
	if res.Errno == 0 && !found {
		return failed(linux.ENOENT)
	}
	return res
}

// setPolicy changes the policies of the VMAs in [start, end) one by one (mbind_range).
func (m *MemoryManager) setPolicy(start, end uint64, change func(old uint64) (uint64, linux.Errno)) Result {
	m.ops++
	changed := false
	for start < end {
		seg, ok := m.vmas.Find(start)
		if !ok || seg.Start >= end {
			break
		}
		lo, hi := max(seg.Start, start), min(seg.End, end)
		start = hi
		old := policyOf(&seg.Value)
		policy, errno := change(old)
		if errno != 0 {
			return Result{Errno: errno, Partial: changed}
		}
		if policy == old {
			continue
		}
		part := clip(seg, lo, hi).Value
		part.Rare = part.Rare.with(func(r *Rare) { r.Policy = policy })
		if res := m.modifyOne(seg, lo, hi, part); res.Errno != 0 {
			res.Partial = res.Partial || changed
			return res
		}
		changed = true
	}
	return succeeded(0)
}

// with returns a changed copy of r, nil when nothing rare is left in it.
func (r *Rare) with(change func(*Rare)) *Rare {
	var n Rare
	if r != nil {
		n = *r
	}
	change(&n)
	if n == (Rare{}) {
		return nil
	}
	return &n
}

// SetAnonName names the anonymous memory in [addr, addr+length), "" takes the name away
// (prctl PR_SET_VMA_ANON_NAME, set_anon_vma_name).
//
// Errnos: EINVAL (not configured, name, alignment, or the range wraps), ENOMEM (a hole), EBADF
// (a file's mapping), EAGAIN (vm.max_map_count).
func (m *MemoryManager) SetAnonName(c *Caller, addr hostarch.Addr, length uint64, name string) Result {
	const maxName = 80 // with the NUL (ANON_VMA_NAME_MAX_LEN)
	rounded := hostarch.PageAlign(length)
	start := uint64(addr)
	end := start + rounded
	if !m.cfg.AnonVMAName || len(name) >= maxName || !validAnonName(name) ||
		!addr.IsPageAligned() || length != 0 && rounded == 0 || end < start {
		return failed(linux.EINVAL)
	}
	if end == start {
		return succeeded(0)
	}
	m.ops++
	return m.madviseWalk(start, end, func(seg segment.Segment[VMA], lo, hi uint64) Result {
		v := clip(seg, lo, hi).Value
		if v.File != nil && !v.File.isAnonShmem() {
			return failed(linux.EBADF)
		}
		if v.Rare != nil && v.Rare.Name == name || v.Rare == nil && name == "" {
			return succeeded(0)
		}
		v.Rare = v.Rare.with(func(r *Rare) { r.Name = name })
		return againFor(m.modifyOne(seg, lo, hi, v))
	})
}

// isAnonShmem reports whether the file is shared memory without a name in any filesystem: that under
// shared anonymous memory, a memfd, or a file that was deleted before it was mapped (vma_is_anon_shmem).
func (f *File) isAnonShmem() bool {
	return f.Kind == Shmem && (strings.HasPrefix(f.Name, "/memfd:") || strings.HasSuffix(f.Name, " (deleted)"))
}

// validAnonName mirrors is_valid_name_char.
func validAnonName(name string) bool {
	for i := range len(name) {
		switch ch := name[i]; {
		case ch <= 0x1f || ch >= 0x7f:
			return false
		case ch == '\\' || ch == '`' || ch == '$' || ch == '[' || ch == ']':
			return false
		}
	}
	return true
}
