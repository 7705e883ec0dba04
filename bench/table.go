package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// results are the costs that were measured, by workload and contestant.
type results map[string]map[string][]nanoseconds

func (r results) add(w *workload, c *contestant, cost nanoseconds) {
	if r[w.name] == nil {
		r[w.name] = make(map[string][]nanoseconds)
	}
	r[w.name][c.name] = append(r[w.name][c.name], cost)
}

func median(costs []nanoseconds) nanoseconds {
	s := slices.Sorted(slices.Values(costs))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// print writes a table in Markdown: medians, and how many times native's each is.
func (r results) print(out io.Writer, works []workload, all []contestant) {
	fmt.Fprint(out, "| |")
	for _, c := range all {
		fmt.Fprintf(out, " %s |", c.name)
	}
	fmt.Fprintf(out, "\n|---|%s\n", strings.Repeat("---|", len(all)))
	for _, w := range works {
		fmt.Fprintf(out, "| %s, %s |", w.name, w.unit)
		native := r[w.name][all[0].name]
		for i, c := range all {
			costs := r[w.name][c.name]
			switch {
			case len(costs) == 0:
				fmt.Fprint(out, " |")
			case i == 0 || len(native) == 0:
				fmt.Fprintf(out, " %s |", in(w.unit, median(costs)))
			default:
				fmt.Fprintf(out, " %s (%.2f) |", in(w.unit, median(costs)), median(costs)/median(native))
			}
		}
		fmt.Fprintln(out)
	}
}

// in writes a cost in a unit, with three digits that count.
func in(unit string, cost nanoseconds) string {
	v := float64(cost)
	switch unit {
	case "µs":
		v /= 1e3
	case "ms":
		v /= 1e6
	}
	digits := 2
	switch {
	case v >= 100:
		digits = 0
	case v >= 10:
		digits = 1
	case v < 0.1:
		digits = 5
	case v < 1:
		digits = 3
	}
	return fmt.Sprintf("%.*f", digits, v)
}
