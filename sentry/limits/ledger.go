package limits

// Ledger counts the committed memory of many address spaces and of what they share, together. All
// amounts are pages. Its zero value counts and limits nothing.
type Ledger struct {
	Limit uint64 // what may be committed at any time; 0 is no limit
	// Overcommit decides where there is no Limit: only its mode Never refuses anything then.
	Overcommit Overcommit

	used, peak uint64
}

// Charge commits c.Pages more, or returns why they may not be had.
func (l *Ledger) Charge(c Charge) *Refusal {
	if c.Pages == 0 {
		return nil
	}
	if why := l.enough(c); why != nil {
		return why
	}
	l.Force(c.Pages)
	return nil
}

// enough returns why c may not be had.
func (l *Ledger) enough(c Charge) *Refusal {
	if l.Limit != 0 {
		if c.Pages > l.Limit || l.used > l.Limit-c.Pages {
			return commitRefusal(l.used, c.Pages, l.Limit)
		}
		return nil
	}
	if l.Overcommit.Mode != Never {
		return nil
	}
	c.Committed = l.used
	return l.Overcommit.Enough(c)
}

// Force commits pages more whatever the limit: they are there already.
func (l *Ledger) Force(pages uint64) {
	l.used += pages
	l.peak = max(l.peak, l.used)
}

// Uncharge gives pages back.
func (l *Ledger) Uncharge(pages uint64) {
	if pages > l.used {
		panic("limits: more pages given back than were charged")
	}
	l.used -= pages
}

// Used returns what is committed now, in pages.
func (l *Ledger) Used() uint64 { return l.used }

// Peak returns the most that was committed at any time, in pages.
func (l *Ledger) Peak() uint64 { return l.peak }
