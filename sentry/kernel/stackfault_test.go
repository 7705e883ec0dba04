package kernel

import (
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
)

// TestStackFault: a fault below a stack is explained by the limit that keeps the stack from growing, and
// by nothing when it could grow, or is no stack. The model stays as it was.
func TestStackFault(t *testing.T) {
	const stackEnd, stackStart = 0x7ffffffff000, 0x7ffffffde000
	for _, x := range []struct {
		name  string
		limit func(l *limits.Rlimits)
		addr  uint64
		want  string
	}{
		{"the next page", func(*limits.Rlimits) {}, stackStart - 8, ""},
		{"the stack", func(*limits.Rlimits) {}, stackEnd - 8<<20 - 8, "stack 132K used + 7.9M > limit 8M"},
		{"a small one", func(l *limits.Rlimits) { l.Stack = 132 << 10 }, stackStart - 8, "stack 132K used + 4K > limit 132K"},
		{"address space", func(l *limits.Rlimits) { l.AS = 150 << 10 }, stackStart - 8, "as 148K used + 4K > limit 150K"},
		{"NULL", func(l *limits.Rlimits) { l.Stack = 0 }, 0, ""},
		{"mapped", func(l *limits.Rlimits) { l.Stack = 0 }, stackStart, ""},
	} {
		k, task, h := boot(t)
		h.limited = x.limit
		before := task.MM().Totals()
		why, err := k.StackFault(task, hostarch.Addr(x.addr))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if why != nil {
			got = why.Error()
		}
		if got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
		if after := task.MM().Totals(); after != before {
			t.Errorf("%s: %+v has become %+v", x.name, before, after)
		}
	}
}
