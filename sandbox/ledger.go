package sandbox

import (
	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
)

// ledgerFor returns the ledger that the policy asks for, nil when nothing needs to be counted.
func ledgerFor(p *policy.Policy) (*limits.Ledger, error) {
	var l limits.Ledger
	limit, limited := p.Limits[policy.LimitCommit]
	if limited {
		l.Limit = hostarch.Pages(limit)
	}
	if p.Overcommit == "never" {
		o, err := probeOvercommit()
		if err != nil {
			return nil, err
		}
		l.Overcommit = *o
		limited = true
	}
	if !limited {
		return nil, nil
	}
	return &l, nil
}

// probeOvercommit returns what mode 2 of vm.overcommit_memory comes to on this machine.
func probeOvercommit() (*limits.Overcommit, error) {
	const pagesPerKB = hostarch.PageSize / 1024
	o := &limits.Overcommit{Mode: limits.Never}
	for _, x := range []struct {
		name string
		to   *uint64
		unit uint64 // what a page is in it
	}{
		{"vm/overcommit_ratio", &o.Ratio, 1},
		{"vm/overcommit_kbytes", &o.Fixed, pagesPerKB},
		{"vm/admin_reserve_kbytes", &o.AdminReserve, pagesPerKB},
		{"vm/user_reserve_kbytes", &o.UserReserve, pagesPerKB},
	} {
		v, err := sysctl(x.name)
		if err != nil {
			return nil, err
		}
		*x.to = v / x.unit
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return nil, err
	}
	o.RAM = info.Totalram * uint64(info.Unit) >> hostarch.PageShift
	o.Swap = info.Totalswap * uint64(info.Unit) >> hostarch.PageShift
	if b, err := meminfo("Hugetlb"); err == nil {
		o.HugeTLB = b >> hostarch.PageShift
	}
	return o, nil
}
