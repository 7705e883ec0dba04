package limits

import "github.com/runsbx/runsbx/sentry/linux"

// OvercommitMode says how much memory may be promised (vm.overcommit_memory).
type OvercommitMode uint8

// The modes, with Linux's names and numbers.
const (
	// Heuristic refuses only what is more at once than there is (OVERCOMMIT_GUESS).
	Heuristic OvercommitMode = iota
	// Always refuses nothing (OVERCOMMIT_ALWAYS).
	Always
	// Never refuses what exceeds the commit limit, and does not honour MAP_NORESERVE
	// (OVERCOMMIT_NEVER).
	Never
)

// Overcommit is how much memory may be promised, and what that depends on. All amounts are pages.
type Overcommit struct {
	Mode OvercommitMode

	RAM     uint64 // totalram_pages
	Swap    uint64 // total_swap_pages
	HugeTLB uint64 // set aside for huge pages, which are counted nowhere here (hugetlb_total_pages)

	Ratio uint64 // percent of RAM that may be promised (vm.overcommit_ratio)
	Fixed uint64 // promised in place of that, unless 0 (vm.overcommit_kbytes)

	AdminReserve uint64 // left to processes with CAP_SYS_ADMIN (vm.admin_reserve_kbytes)
	UserReserve  uint64 // left to other processes than the one that asks (vm.user_reserve_kbytes)
}

// Charge is a wish for more committed memory.
type Charge struct {
	Pages     uint64 // how many more
	Committed uint64 // what everybody has, pages
	TotalVM   uint64 // size of the address space that asks, pages; 0 when none does (shared memory)
	Admin     bool   // it has CAP_SYS_ADMIN
}

// CommitLimit returns how many pages may be promised (vm_commit_limit): CommitLimit of
// /proc/meminfo.
func (o *Overcommit) CommitLimit() uint64 {
	allowed := o.Fixed
	if allowed == 0 {
		allowed = (o.RAM - min(o.HugeTLB, o.RAM)) * o.Ratio / 100
	}
	return allowed + o.Swap
}

// Enough returns why c may not be had, nil when it may (__vm_enough_memory). The Refusal is in
// bytes; its Limit is what is left to this process after the reserves.
func (o *Overcommit) Enough(c Charge) *Refusal {
	switch o.Mode {
	case Always:
		return nil
	case Heuristic:
		if all := o.RAM + o.Swap; c.Pages > all {
			return commitRefusal(0, c.Pages, all)
		}
		return nil
	}
	allowed := o.CommitLimit()
	take := func(pages uint64) { allowed -= min(pages, allowed) }
	if !c.Admin {
		take(o.AdminReserve)
	}
	take(min(c.TotalVM/32, o.UserReserve))
	// Below it, not up to it.
	if total := c.Committed + c.Pages; total >= c.Committed && total < allowed {
		return nil
	}
	return commitRefusal(c.Committed, c.Pages, allowed)
}

// commitRefusal describes a limit on committed pages.
func commitRefusal(used, wanted, limit uint64) *Refusal {
	const pageShift = 12
	return &Refusal{Resource: Commit, Used: used << pageShift, Wanted: wanted << pageShift,
		Limit: limit << pageShift, Errno: linux.ENOMEM}
}
