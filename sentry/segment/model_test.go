package segment

import (
	"cmp"
	"fmt"
	"slices"
)

// model is the slow Set: a sorted slice, and gaps listed one by one.
type model struct{ segs []Segment[int] }

const top = 1<<64 - 1

func (m *model) clone() *model { return &model{slices.Clone(m.segs)} }

// overlapping returns the indices [i, j) of the ranges that overlap [start, end).
func (m *model) overlapping(start, end uint64) (i, j int) {
	for i < len(m.segs) && m.segs[i].End <= start {
		i++
	}
	for j = i; j < len(m.segs) && m.segs[j].Start < end; j++ {
	}
	return i, j
}

func (m *model) startsAt(start uint64) int {
	return slices.IndexFunc(m.segs, func(g Segment[int]) bool { return g.Start == start })
}

func (m *model) insert(start, end uint64, v int) (ok bool) {
	i, j := m.overlapping(start, end)
	if start >= end || i != j {
		return false
	}
	m.segs = slices.Insert(m.segs, i, Segment[int]{start, end, v})
	return true
}

func (m *model) remove(start uint64) (v int, ok bool) {
	i := m.startsAt(start)
	if i < 0 {
		return 0, false
	}
	v = m.segs[i].Value
	m.segs = slices.Delete(m.segs, i, i+1)
	return v, true
}

func (m *model) update(start, newStart, newEnd uint64, v int) (ok bool) {
	i := m.startsAt(start)
	if i < 0 || newStart >= newEnd || i > 0 && newStart < m.segs[i-1].End ||
		i+1 < len(m.segs) && newEnd > m.segs[i+1].Start {
		return false
	}
	m.segs[i] = Segment[int]{newStart, newEnd, v}
	return true
}

// gaps returns all gaps, cut to [low, high), of at least size bytes, ascending.
func (m *model) gaps(low, high, size uint64) (gaps [][2]uint64) {
	at := uint64(0)
	for _, g := range append(slices.Clone(m.segs), Segment[int]{Start: top}) {
		if start, end := max(at, low), min(g.Start, high); start < end && end-start >= size {
			gaps = append(gaps, [2]uint64{start, end})
		}
		at = g.End
	}
	return gaps
}

// first returns the first or last element that f accepts.
func (m *model) first(backwards bool, f func(Segment[int]) bool) (Segment[int], bool) {
	segs := m.segs
	if backwards {
		segs = slices.Clone(segs)
		slices.Reverse(segs)
	}
	if i := slices.IndexFunc(segs, f); i >= 0 {
		return segs[i], true
	}
	return Segment[int]{}, false
}

// pair is a set and what it should be.
type pair struct {
	set   Set[int]
	model *model
}

func newPair() *pair { return &pair{model: &model{}} }

func (p *pair) clone() *pair { return &pair{p.set.Clone(), p.model.clone()} }

// panics reports whether f panics with one of the package's own messages; it passes on others.
func panics(f func()) (did bool) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case string:
			did = true
		default:
			panic(r)
		}
	}()
	f()
	return false
}

func mustAgree(what string, panicked, ok bool) error {
	if panicked == ok {
		return fmt.Errorf("%s: panicked %v, the model allows it %v", what, panicked, ok)
	}
	return nil
}

func (p *pair) insert(start, end uint64, v int) error {
	panicked := panics(func() { p.set.Insert(start, end, v) })
	return mustAgree(fmt.Sprintf("Insert(%#x, %#x)", start, end), panicked, p.model.insert(start, end, v))
}

func (p *pair) remove(start uint64) error {
	var got int
	panicked := panics(func() { got = p.set.Remove(start) })
	want, ok := p.model.remove(start)
	if got != want {
		return fmt.Errorf("Remove(%#x) = %d, want %d", start, got, want)
	}
	return mustAgree(fmt.Sprintf("Remove(%#x)", start), panicked, ok)
}

func (p *pair) update(start, newStart, newEnd uint64, v int) error {
	panicked := panics(func() { p.set.Update(start, newStart, newEnd, v) })
	return mustAgree(fmt.Sprintf("Update(%#x, %#x, %#x)", start, newStart, newEnd), panicked,
		p.model.update(start, newStart, newEnd, v))
}

// check compares the contents.
func (p *pair) check() error {
	if err := p.set.CheckInvariants(); err != nil {
		return err
	}
	if p.set.Len() != len(p.model.segs) {
		return fmt.Errorf("Len() = %d, want %d", p.set.Len(), len(p.model.segs))
	}
	i := 0
	for g := range p.set.All() {
		if i >= len(p.model.segs) || g != p.model.segs[i] {
			return fmt.Errorf("All: [%d] = %v", i, g)
		}
		i++
	}
	if i != len(p.model.segs) {
		return fmt.Errorf("All: %d ranges, want %d", i, len(p.model.segs))
	}
	return nil
}

// checkLookups compares what is found at and around [low, high).
func (p *pair) checkLookups(low, high, size uint64) error {
	set, m := &p.set, p.model
	for _, addr := range []uint64{low, high} {
		above := func(g Segment[int]) bool { return g.End > addr }
		in := func(g Segment[int]) bool { return g.Start <= addr && addr < g.End }
		below := func(g Segment[int]) bool { return g.End <= addr }
		if err := cmp.Or(
			same("Find", addr)(set.Find(addr))(m.first(false, above)),
			same("At", addr)(set.At(addr))(m.first(false, in)),
			same("Prev", addr)(set.Prev(addr))(m.first(true, below)),
		); err != nil {
			return err
		}
	}
	every := func(Segment[int]) bool { return true }
	if err := cmp.Or(
		same("First", 0)(set.First())(m.first(false, every)),
		same("Last", 0)(set.Last())(m.first(true, every)),
	); err != nil {
		return err
	}
	i, j := m.overlapping(low, high)
	if low >= high {
		i, j = 0, 0
	}
	if got := slices.Collect(set.Range(low, high)); !slices.Equal(got, m.segs[i:j]) {
		return fmt.Errorf("Range(%#x, %#x) = %v, want %v", low, high, got, m.segs[i:j])
	}
	return p.checkGaps(low, high, size)
}

func (p *pair) checkGaps(low, high, size uint64) error {
	gaps := p.model.gaps(low, high, size)
	var up, down [2]uint64
	if len(gaps) > 0 {
		up, down = gaps[0], gaps[len(gaps)-1]
	}
	start, end, ok := p.set.GapUp(low, high, size)
	if got := [2]uint64{start, end}; got != up || ok != (len(gaps) > 0) {
		return fmt.Errorf("GapUp(%#x, %#x, %#x) = %#x, %v, want %#x", low, high, size, got, ok, up)
	}
	start, end, ok = p.set.GapDown(low, high, size)
	if got := [2]uint64{start, end}; got != down || ok != (len(gaps) > 0) {
		return fmt.Errorf("GapDown(%#x, %#x, %#x) = %#x, %v, want %#x", low, high, size, got, ok, down)
	}
	return nil
}

// same compares two results of a lookup.
func same(what string, addr uint64) func(Segment[int], bool) func(Segment[int], bool) error {
	return func(got Segment[int], gotOK bool) func(Segment[int], bool) error {
		return func(want Segment[int], wantOK bool) error {
			if got != want || gotOK != wantOK {
				return fmt.Errorf("%s(%#x) = %v, %v, want %v, %v", what, addr, got, gotOK, want, wantOK)
			}
			return nil
		}
	}
}
