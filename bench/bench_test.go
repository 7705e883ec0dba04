package main

import (
	"strings"
	"testing"
)

func TestCosts(t *testing.T) {
	for _, x := range []struct {
		cost func(string) (nanoseconds, error)
		out  string
		want nanoseconds // 0: none
	}{
		{printed, "1234.5\n", 1234.5},
		{printed, "mmap: Cannot allocate memory\n", 0},
		{rate(`tps = ([0-9.]+)`), "number of clients: 2\ntps = 20000.0 (without connections)\n", 50000},
		{rate(`tps = ([0-9.]+)`), "tps = 0\n", 0},
		{rate(`tps = ([0-9.]+)`), "connection failed\n", 0},
	} {
		got, err := x.cost(x.out)
		if (err != nil) != (x.want == 0) || err == nil && got != x.want {
			t.Errorf("%q: %v, %v, want %v", x.out, got, err, x.want)
		}
	}
}

func TestTable(t *testing.T) {
	all := []contestant{{name: "native"}, {name: "slow"}, {name: "absent"}}
	works := []workload{{name: "mmap", unit: "µs"}, {name: "true", unit: "ms"}, {name: "a turn", unit: "µs"}}
	r := make(results)
	for i, costs := range [][2]nanoseconds{{1500, 3000}, {99999, 9000}, {1000, 2000}} { // one of them is an accident
		r.add(&works[0], &all[0], costs[0])
		r.add(&works[0], &all[1], costs[1])
		r.add(&works[1], &all[0], nanoseconds(i+1)*1e6)
	}
	r.add(&works[1], &all[0], 123e6) // an even number
	r.add(&works[2], &all[0], 0.25)
	var b strings.Builder
	r.print(&b, works, all)
	want := `| | native | slow | absent |
|---|---|---|---|
| mmap, µs | 1.50 | 3.00 (2.00) | |
| true, ms | 2.50 | | |
| a turn, µs | 0.00025 | | |
`
	if b.String() != want {
		t.Errorf("printed\n%swant\n%s", b.String(), want)
	}
}
