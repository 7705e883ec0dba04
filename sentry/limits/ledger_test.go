package limits

import "testing"

func TestLedger(t *testing.T) {
	l := Ledger{Limit: 100}
	for _, x := range []struct {
		name    string
		charge  uint64 // or what is given back
		back    bool
		refused bool
		used    uint64
	}{
		{"some", 60, false, false, 60},
		{"more than is left", 41, false, true, 60},
		{"nothing at all is always to be had", 0, false, false, 60},
		{"all that is left", 40, false, false, 100},
		{"one too many", 1, false, true, 100},
		{"sums that overflow", ^uint64(0), false, true, 100},
		{"given back", 30, true, false, 70},
		{"again", 30, false, false, 100},
	} {
		var why *Refusal
		if x.back {
			l.Uncharge(x.charge)
		} else {
			why = l.Charge(Charge{Pages: x.charge})
		}
		if (why != nil) != x.refused || l.Used() != x.used {
			t.Errorf("%s: %v, used %d, want %d", x.name, why, l.Used(), x.used)
		}
		if why != nil && (why.Resource != Commit || why.Limit != 100<<12 || why.Used != x.used<<12 || why.Wanted != x.charge<<12) {
			t.Errorf("%s: %+v", x.name, why)
		}
	}
	l.Force(7)
	if l.Used() != 107 || l.Peak() != 107 {
		t.Errorf("used %d, peak %d, want 107 of each", l.Used(), l.Peak())
	}
}

// TestLedgerModes: without a limit of its own, mode 2 has the machine's, and the others have none.
func TestLedgerModes(t *testing.T) {
	for _, x := range []struct {
		mode    OvercommitMode
		refused bool
	}{{Heuristic, false}, {Always, false}, {Never, true}} {
		l := Ledger{Overcommit: *machine(x.mode)}
		l.Force(3085452 - 2048 - 5)
		if why := l.Charge(Charge{Pages: 5}); (why != nil) != x.refused {
			t.Errorf("mode %d: %v", x.mode, why)
		}
		if why := l.Charge(Charge{Pages: 4}); why != nil {
			t.Errorf("mode %d: %v", x.mode, why)
		}
	}
}

// TestLedgerIsNeverNegative: that would be a leak of the other kind.
func TestLedgerIsNeverNegative(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("more was given back than was charged")
		}
	}()
	var l Ledger
	l.Uncharge(1)
}
