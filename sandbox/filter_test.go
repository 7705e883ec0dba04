package sandbox

import (
	"testing"

	"github.com/runsbx/runsbx/ptrace/seccomp/bpftest"
	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/linux"
)

// TestMMapMechanism: what the kernel is sure to do as the model says is notified; the rest stops, and always does where
// addresses are not the kernel's own choice.
func TestMMapMechanism(t *testing.T) {
	const (
		notify, trace = 0x7fc00000, 0x7ff00000
		plain         = linux.MAP_PRIVATE | linux.MAP_ANONYMOUS
	)
	for _, x := range []struct {
		name        string
		size, flags uint64
		policy      policy.Policy
		want        uint32
	}{
		{name: "a page", size: 4096, flags: plain, want: notify},
		{name: "where it is told", size: 4096, flags: plain | linux.MAP_FIXED, want: notify},
		{name: "without reservation", size: 4096, flags: plain | linux.MAP_NORESERVE | linux.MAP_STACK | linux.MAP_POPULATE, want: notify},
		{name: "the largest", size: 64 << 20, flags: plain, want: notify},
		{name: "too large", size: 64<<20 + 1, flags: plain, want: trace},
		{name: "far too large", size: 1 << 40, flags: plain, want: trace},
		{name: "a file", size: 4096, flags: linux.MAP_PRIVATE, want: trace},
		{name: "shared", size: 4096, flags: linux.MAP_SHARED | linux.MAP_ANONYMOUS, want: trace},
		{name: "of no type", size: 4096, flags: linux.MAP_ANONYMOUS, want: trace},
		{name: "of a new type", size: 4096, flags: linux.MAP_SHARED_VALIDATE | linux.MAP_ANONYMOUS, want: trace},
		{name: "of all types", size: 4096, flags: linux.MAP_TYPE | linux.MAP_ANONYMOUS, want: trace},
		{name: "a stack", size: 4096, flags: plain | linux.MAP_GROWSDOWN, want: trace},
		{name: "locked", size: 4096, flags: plain | linux.MAP_LOCKED, want: trace},
		{name: "huge pages", size: 2 << 20, flags: plain | linux.MAP_HUGETLB, want: trace},
		{name: "huge pages of a file", size: 2 << 20, flags: linux.MAP_PRIVATE | linux.MAP_HUGETLB, want: trace},
		{name: "another layout", size: 4096, flags: plain, policy: policy.Policy{Layout: policy.LayoutLegacy}, want: trace},
		{name: "seeded", size: 4096, flags: plain, policy: policy.Policy{ASLR: policy.ASLRSeed}, want: trace},
		{name: "strict accounting", size: 4096, flags: plain, policy: policy.Policy{Overcommit: "never"}, want: trace},
		{name: "with a budget", size: 4096, flags: plain, policy: policy.Policy{Limits: map[string]uint64{policy.LimitCommit: 1 << 30}}, want: notify},
	} {
		t.Run(x.name, func(t *testing.T) {
			f := filterFor(&x.policy)
			prog, err := f.Export()
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := bpftest.Run(prog, bpftest.Call(linux.SYS_MMAP, 0, x.size, 3, x.flags, ^uint64(0), 0))
			if err != nil || got&0xffff0000 != x.want {
				t.Errorf("%#x, %v, want %#x", got, err, x.want)
			}
		})
	}
}
