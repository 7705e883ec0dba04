package limits

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/linux"
)

func TestUnlimited(t *testing.T) {
	l := Unlimited()
	for name, v := range map[string]uint64{"as": l.AS, "data": l.Data, "stack": l.Stack, "memlock": l.MemLock} {
		if v != linux.RLIM_INFINITY {
			t.Errorf("%s is %d", name, v)
		}
	}
}
