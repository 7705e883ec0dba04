package limits

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/linux"
)

func TestRefusalExplainsItself(t *testing.T) {
	var err error = &Refusal{Resource: AS, Used: 4096, Wanted: 8192, Limit: 10000, Errno: linux.ENOMEM}
	if got, want := err.Error(), "as 4096 used + 8192 > limit 10000 (ENOMEM)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnlimited(t *testing.T) {
	l := Unlimited()
	for name, v := range map[string]uint64{"as": l.AS, "data": l.Data, "stack": l.Stack, "memlock": l.MemLock} {
		if v != linux.RLIM_INFINITY {
			t.Errorf("%s is %d", name, v)
		}
	}
}
