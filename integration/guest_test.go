package integration

import (
	"os/exec"
	"testing"
)

// guestPrograms are the C programs of testdata; the first comment of each says what it shows.
var guestPrograms = []struct {
	name   string
	status string // "exit 0" unless given
	want   string
	verify string // "every" unless given
}{
	{name: "fdstress", want: "lost 0 of 1 checks"},
	{name: "handover", want: "bad 0"},
	{name: "vforkexec", want: "sum of statuses 150", verify: "exit"},
	{name: "threadexec", status: "exit 6", want: "done"},
	{name: "leaderexit", status: "exit 11", want: "the last thread ends the process"},
	{name: "signalstorm", want: "signals came: 1 1"},
	{name: "deepstack", want: "overflow 5\nsignal 11"},
	{name: "growsdown", want: "grew to 44"},
	{name: "alloca", want: "nearly 8M: exit 1\nmore than 8M: signal 11"},
	{name: "forkmapper", want: "children 40, mine 1, shared 780"},
	{name: "madvise", want: "merge"},
	{name: "mremap", want: "done"},
	{name: "mlock", want: "mlock: ok,       64 kB"},
	{name: "shared", want: "seen twice"},
	{name: "protect", want: "wrong 0"},
	{name: "exchange", want: "done"},
	{name: "stopmate", want: "done 0", verify: "exit"},
	{name: "manymaps", want: "bad 0", verify: "exit"},
	{name: "threads200", want: "sum 19900"},
	{name: "caller", want: "lock much"},
	{name: "hugestack", want: "limit 0: status 0"},
	{name: "clone3", want: "ticks 1, bad 0"},
	{name: "pidfdwait", want: "missed 0"},
	{name: "pmadvise", want: "a hole at first: -1 Cannot allocate memory"},
	{name: "ksmmove", want: "lost 0"},
	{name: "waiting", want: "epoll_wait 0, semtimedop 0, sigtimedwait 0", verify: "exit"},
	{name: "ignored", want: "epoll_wait, event: 1", verify: "exit"},
	{name: "ownfilter", want: "mremap: Function not implemented\nshmat: Device or resource busy"},
}

func TestGuests(t *testing.T) {
	t.Parallel()
	for _, g := range guestPrograms {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			program{argv: []string{guest(t, g.name)}, status: g.status, want: g.want, verify: g.verify}.check(t)
		})
	}
	t.Run("as many mappings as there may be", func(t *testing.T) {
		t.Parallel()
		program{argv: []string{guest(t, "manymaps"), "all"}, want: "as many as expected 1", verify: "exit"}.check(t)
	})
	t.Run("nsinit", func(t *testing.T) {
		t.Parallel()
		init := guest(t, "nsinit")
		if exec.Command(init, "try").Run() != nil {
			t.Skip("no pid namespaces can be made here")
		}
		program{argv: []string{init}, want: "abort: exit 0, signal 11"}.check(t)
	})
	// The same as an ordinary user: other limits bind.
	for _, name := range []string{"mlock", "shared", "alloca", "fdstress"} {
		t.Run(name+" as an ordinary user", func(t *testing.T) {
			t.Parallel()
			program{argv: []string{guest(t, name)}, asUser: true}.check(t)
		})
	}
	// The concurrent ones also without the pauses that comparing makes between the calls.
	for _, name := range []string{"fdstress", "handover", "signalstorm", "forkmapper", "threads200", "leaderexit", "ksmmove"} {
		t.Run(name+" at full speed", func(t *testing.T) {
			t.Parallel()
			p := program{argv: []string{guest(t, name)}, verify: "exit"}
			if name == "leaderexit" {
				p.status = "exit 11"
			}
			p.check(t)
		})
	}
}

// TestLinking runs the same small program linked in every way, and one without any library.
func TestLinking(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"dynamic":    nil,
		"static":     {"-static"},
		"static-pie": {"-static-pie"},
		"no-pie":     {"-no-pie", "-fno-pie"},
		"execstack":  {"-z", "execstack"},
		"now":        {"-Wl,-z,now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program{argv: []string{guest(t, "small", flags...)}, status: "exit 3", want: "1 5 1 1"}.check(t)
		})
	}
	t.Run("no library", func(t *testing.T) {
		t.Parallel()
		program{
			argv:   []string{guest(t, "nolibc", "-static", "-nostdlib", "-fno-stack-protector", "-Wno-main")},
			status: "exit 13",
			want:   "no library",
		}.check(t)
	})
}
