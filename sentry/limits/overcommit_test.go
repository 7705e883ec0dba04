package limits

import "testing"

// machine is a real one: MemTotal 24683620 kB, no swap, the default sysctls.
func machine(mode OvercommitMode) *Overcommit {
	return &Overcommit{Mode: mode, RAM: 6170905, Ratio: 50, AdminReserve: 2048, UserReserve: 32768}
}

func TestCommitLimit(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(o *Overcommit)
		want   uint64
	}{
		{"half of the memory", func(o *Overcommit) {}, 12341808 / 4}, // its CommitLimit in /proc/meminfo
		{"swap comes on top", func(o *Overcommit) { o.Swap = 1000 }, 3085452 + 1000},
		{"huge pages count nowhere", func(o *Overcommit) { o.HugeTLB = 1024 * 512 }, (6170905 - 524288) / 2},
		{"a fixed amount instead of the ratio", func(o *Overcommit) { o.Fixed, o.Swap = 1000, 5 }, 1005},
		{"more than there is", func(o *Overcommit) { o.Ratio = 200 }, 2 * 6170905},
		{"all memory is huge pages", func(o *Overcommit) { o.HugeTLB = 7000000 }, 0},
	} {
		o := machine(Never)
		x.change(o)
		if got := o.CommitLimit(); got != x.want {
			t.Errorf("%s: %d pages, want %d", x.name, got, x.want)
		}
	}
}

func TestEnough(t *testing.T) {
	const (
		limit = 3085452 // pages: half of the memory
		none  = 0
	)
	for _, x := range []struct {
		name   string
		mode   OvercommitMode
		charge Charge
		limit  uint64 // of the refusal, pages; none when it is granted
	}{
		{"mode 0: all there is", Heuristic, Charge{Pages: 6170905, Committed: 1 << 40}, none},
		{"mode 0: more than there is", Heuristic, Charge{Pages: 6170906}, 6170905},
		{"mode 1: anything", Always, Charge{Pages: 1 << 50, Committed: 1 << 50}, none},
		{"mode 2: a privileged process may have all but one page", Never, Charge{Pages: limit - 1, Admin: true}, none},
		{"mode 2: and not all", Never, Charge{Pages: limit, Admin: true}, limit},
		{"mode 2: what others have counts", Never, Charge{Pages: 2, Committed: limit - 2, Admin: true}, limit},
		{"mode 2: a reserve for the administrator", Never, Charge{Pages: limit - 2049}, none},
		{"mode 2: is not for others", Never, Charge{Pages: limit - 2048}, limit - 2048},
		{"mode 2: a thirty-second of the process is for its user's others", Never, Charge{Pages: limit - 100, TotalVM: 3200, Admin: true}, limit - 100},
		{"mode 2: which is rounded down", Never, Charge{Pages: limit - 100, TotalVM: 3199, Admin: true}, none},
		{"mode 2: at most the user reserve", Never, Charge{Pages: limit - 32768 - 1, TotalVM: 1 << 30, Admin: true}, none},
		{"mode 2: and that much", Never, Charge{Pages: limit - 32768, TotalVM: 1 << 30, Admin: true}, limit - 32768},
		{"mode 2: both reserves", Never, Charge{Pages: limit - 2048 - 32768, TotalVM: 1 << 30}, limit - 2048 - 32768},
		{"mode 2: sums that overflow", Never, Charge{Pages: ^uint64(0), Committed: 2, Admin: true}, limit},
	} {
		why := machine(x.mode).Enough(x.charge)
		switch {
		case x.limit == none && why != nil:
			t.Errorf("%s: %v", x.name, why)
		case x.limit != none && (why == nil || why.Resource != Commit || why.Limit != x.limit<<12):
			t.Errorf("%s: %+v, want a limit of %d pages", x.name, why, x.limit)
		}
	}
	// Reserves larger than the limit leave nothing, rather than wrap around.
	o := machine(Never)
	o.Ratio, o.Fixed = 0, 100
	if why := o.Enough(Charge{Pages: 1}); why == nil || why.Limit != 0 {
		t.Errorf("%+v", why)
	}
}
