package policy

import (
	"errors"
	"math"
	"testing"
)

func TestCheckLimits(t *testing.T) {
	for _, x := range []struct {
		name   string
		limits map[string]uint64
		want   string // of the error; none when it is ""
	}{
		{name: "none"},
		{name: "all", limits: map[string]uint64{LimitAS: 1 << 30, LimitData: 1 << 29, LimitStack: 8 << 20, LimitMemLock: 1 << 16, LimitMapCount: 1000}},
		{name: "the least", limits: map[string]uint64{LimitAS: 4096, LimitData: 4096, LimitStack: 4096, LimitMemLock: 0, LimitMapCount: 1}},
		{name: "no bound", limits: map[string]uint64{LimitAS: math.MaxUint64, LimitStack: math.MaxUint64}},
		{name: "no multiples of a page", limits: map[string]uint64{LimitAS: 1<<30 + 1, LimitData: 4097, LimitStack: 12345, LimitMemLock: 1}},
		{name: "above the one of all address space", limits: map[string]uint64{LimitAS: 1 << 26, LimitData: 1 << 30, LimitStack: 1 << 30, LimitMemLock: 1 << 30}},
		{name: "as 0", limits: map[string]uint64{LimitAS: 0}, want: "--limit as=0: less than a page: no program can start"},
		{name: "data below a page", limits: map[string]uint64{LimitData: 4095}, want: "--limit data=4095: less than a page: no program can start"},
		{name: "stack 1K", limits: map[string]uint64{LimitStack: 1024}, want: "--limit stack=1K: less than a page: no program can start"},
		{name: "no mappings", limits: map[string]uint64{LimitMapCount: 0}, want: "--limit map-count=0: no program can start without a mapping"},
	} {
		t.Run(x.name, func(t *testing.T) {
			err := (&Policy{Limits: x.limits}).Check()
			var limit *LimitError
			switch {
			case x.want == "" && err != nil:
				t.Error(err)
			case x.want != "" && (!errors.As(err, &limit) || err.Error() != x.want):
				t.Errorf("%v, want %s", err, x.want)
			}
		})
	}
}

func TestFormatLimit(t *testing.T) {
	for _, x := range []struct {
		name string
		v    uint64
		want string
	}{
		{LimitAS, 0, "0"}, {LimitAS, 1, "1"}, {LimitAS, 1000, "1000"}, {LimitAS, 1024, "1K"}, {LimitAS, 1536 << 10, "1536K"},
		{LimitAS, 1 << 20, "1M"}, {LimitAS, 3 << 30, "3G"}, {LimitAS, 1 << 40, "1T"}, {LimitAS, 1 << 50, "1024T"},
		{LimitAS, math.MaxUint64, "18446744073709551615"}, {LimitMapCount, 1024, "1024"},
	} {
		if got := FormatLimit(x.name, x.v); got != x.want {
			t.Errorf("%s %d: %s, want %s", x.name, x.v, got, x.want)
		}
	}
}
