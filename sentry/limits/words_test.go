package limits

import (
	"math"
	"testing"
)

func TestFormatSize(t *testing.T) {
	for _, x := range []struct {
		n    uint64
		want string
	}{
		{0, "0"}, {1, "1 byte"}, {1023, "1023 bytes"}, {1024, "1K"}, {4096, "4K"}, {4097, "4K"}, {6000, "5.9K"},
		{64 << 10, "64K"}, {64173056, "61.2M"}, {512 << 20, "512M"}, {512<<20 + 4096, "512M"},
		{1<<20 - 1, "1M"}, {1<<30 - 1, "1G"}, {1<<20 - 100<<10, "924K"}, {120000000, "114.4M"},
		{3 << 40, "3T"}, {math.MaxUint64, "16E"}, {1 << 50, "1P"},
	} {
		if got := FormatSize(x.n); got != x.want {
			t.Errorf("FormatSize(%d) = %q, want %q", x.n, got, x.want)
		}
	}
}

func TestRefusalExplainsItself(t *testing.T) {
	const m = 1 << 20
	for _, x := range []struct {
		r    Refusal
		want string
	}{
		{Refusal{Resource: Commit, Used: 64173056, Wanted: 512 * m, Limit: 64 * m}, "commit 61.2M used + 512M > limit 64M"},
		{Refusal{Resource: Stack, Used: 8 * m, Wanted: 4096, Limit: 8 * m}, "stack 8M used + 4K > limit 8M"},
		{Refusal{Resource: Commit, Used: 64*m - 1000, Wanted: 4096, Limit: 64 * m}, "commit 64M used + 4K > limit 64M"},
		{Refusal{Resource: AS, Used: 4096, Wanted: 8192, Limit: 10000}, "as 4K used + 8K > limit 9.8K"},
		// 61.2M + 2.8M is 64M: another decimal is needed.
		{Refusal{Resource: AS, Used: 64200704, Wanted: 2912256, Limit: 64 * m}, "as 61.23M used + 2.78M > limit 64M"},
		{Refusal{Resource: AS, Used: 64214794, Wanted: 2894273, Limit: 64 * m}, "as 64214794 bytes used + 2894273 bytes > limit 67108864 bytes"},
		{Refusal{Resource: Data, Used: 1 << 40, Wanted: 1, Limit: 1 << 40}, "data 1T used + 1 byte > limit 1T"},
		{Refusal{Resource: Commit, Used: 1<<40 - 1, Wanted: 4097, Limit: 1<<40 + 4095}, "commit 1T used + 4K > limit 1T"},
		{Refusal{Resource: AS, Used: math.MaxUint64, Wanted: 4096, Limit: 64 * m}, "as 16E used + 4K > limit 64M"},
		{Refusal{Resource: Commit, Used: 60 * m, Wanted: 4 * m, Limit: 64 * m}, "commit 60M used + 4M >= limit 64M"},
		{Refusal{Resource: MapCount, Used: 65, Wanted: 1, Limit: 64}, "map-count 65 used + 1 > limit 64 VMAs"},
		{Refusal{Resource: Procs, Used: 10, Wanted: 1, Limit: 10}, "procs 10 used + 1 > limit 10 tasks"},
		{Refusal{Resource: MemLock}, "memlock limit 0"},
		{Refusal{Resource: AS, Used: m, Limit: 4 * m}, "as limit 4M"},
		{Refusal{Resource: MemLock, Wanted: 4096}, "memlock limit 0"},
		{Refusal{Resource: AS, Used: 64 * m, Limit: 64 * m}, "as limit 64M"},
		{Refusal{Resource: Space, Used: m, Wanted: m, Limit: 1 << 47}, "no free range of addresses is long enough"},
		{Refusal{Resource: Uncounted, Wanted: m}, "it could not be counted against the limit"},
		{Refusal{Kind: ByPolicy, Resource: "wx"}, "policy wx"},
		{Refusal{Kind: ByInjection}, "injected"},
	} {
		var err error = &x.r
		if got := err.Error(); got != x.want {
			t.Errorf("%+v: %q, want %q", x.r, got, x.want)
		}
	}
}
