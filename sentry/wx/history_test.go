package wx

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/runsbx/runsbx/sentry/hostarch"
)

const pages = 40 // of the small address space that the model has

func at(first, last int) hostarch.AddrRange {
	return hostarch.AddrRange{Start: hostarch.Addr(first) << hostarch.PageShift, End: hostarch.Addr(last) << hostarch.PageShift}
}

// TestHistory makes random changes beside an array of one bool per page.
func TestHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h History
		var model [pages]bool
		span := func(label string) (int, int) {
			first := rapid.IntRange(0, pages-1).Draw(t, label)
			return first, rapid.IntRange(first, pages).Draw(t, label+" end")
		}
		check := func() {
			if err := h.written.CheckInvariants(); err != nil {
				t.Fatal(err)
			}
			for i, want := range model {
				if h.Overlaps(at(i, i+1)) != want {
					t.Fatalf("page %d: written is %v, want %v", i, !want, want)
				}
			}
			var last uint64
			for s := range h.written.All() {
				if s.Start == last && last != 0 {
					t.Fatalf("two ranges touch at %#x", last)
				}
				last = s.End
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { check() },
			"add": func(*rapid.T) {
				first, last := span("add")
				h.Add(at(first, last))
				for i := first; i < last; i++ {
					model[i] = true
				}
			},
			"remove": func(*rapid.T) {
				first, last := span("remove")
				h.Remove(at(first, last))
				for i := first; i < last; i++ {
					model[i] = false
				}
			},
			"move": func(*rapid.T) {
				first, last := span("move")
				to := rapid.IntRange(0, pages-1).Draw(t, "to")
				end := rapid.IntRange(to, pages).Draw(t, "to end")
				if first < end && to < last {
					return // mremap refuses ranges that overlap
				}
				h.Move(at(first, last), at(to, end))
				for i := to; i < end; i++ {
					model[i] = i-to < last-first && model[first+i-to]
				}
			},
			"clone": func(*rapid.T) {
				c := h.Clone()
				h.Add(at(0, pages)) // the copy does not notice
				h = c
			},
		})
	})
}
