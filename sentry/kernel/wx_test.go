package kernel

import (
	"errors"
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/wx"
)

const (
	protRX = linux.PROT_READ | linux.PROT_EXEC
	protRW = linux.PROT_READ | linux.PROT_WRITE
)

// bootWX is boot with W^X, and two files: 3 can be changed, 4 cannot.
func bootWX(t *testing.T, mode wx.Mode) (*Kernel, *Task, *fakeHost) {
	t.Helper()
	h := &fakeHost{maps: map[int]string{}, changeable: map[string]bool{"/tmp/own": true}, files: map[int32]*mm.File{
		3: {Name: "/tmp/own", Dev: 1, Ino: 3, Readable: true, Writable: true},
		4: {Name: "/lib/x.so", Dev: 1, Ino: 4, Readable: true},
	}}
	k := New(testConfig(), h)
	k.SetWX(mode)
	if _, err := k.Start(100); err != nil {
		t.Fatal(err)
	}
	task, why, err := k.Exec(100, 100)
	if why != nil || err != nil {
		t.Fatal(why, err)
	}
	return k, task, h
}

// mapFile is an mmap of a file.
func mapFile(addr, length, prot, flags uint64, fd int32) Call {
	if addr != 0 {
		flags |= linux.MAP_FIXED
	}
	return Call{Nr: linux.SYS_MMAP, Observable: true, Args: [6]uint64{addr, length, prot, flags, uint64(fd), 0}}
}

// protect is an mprotect.
func protectCall(addr, length, prot uint64) Call {
	return Call{Nr: linux.SYS_MPROTECT, Args: [6]uint64{addr, length, prot}}
}

// run makes the calls, as the kernel would, and returns the last verdict.
func run(t *testing.T, k *Kernel, task *Task, calls ...Call) (v Verdict) {
	t.Helper()
	for _, c := range calls {
		v = decide(t, k, task, c)
		if v.Kind == Observe || v.Kind == Rewrite {
			if _, drift, err := k.Complete(task, int64(v.Result.Value())); drift != nil || err != nil {
				t.Fatal(drift, err)
			}
		}
	}
	return v
}

// TestWX: what is refused is what would be executable and was or is writable, whatever the way.
func TestWX(t *testing.T) {
	const a, n, priv, shared, anon = 0x10000000, 0x4000, linux.MAP_PRIVATE, linux.MAP_SHARED, linux.MAP_PRIVATE | linux.MAP_ANONYMOUS
	move := func(to uint64) Call {
		return Call{Nr: linux.SYS_MREMAP, Observable: true, Args: [6]uint64{a, n, n, linux.MREMAP_MAYMOVE | linux.MREMAP_FIXED, to}}
	}
	for name, x := range map[string]struct {
		calls []Call
		want  wx.Reason
	}{
		"a library":                       {[]Call{mapFile(a, n, protRX, priv, 4)}, ""},
		"a library, read first":           {[]Call{mapFile(a, n, 1, priv, 4), protectCall(a, n, protRX)}, ""},
		"a library's data":                {[]Call{mapFile(a, n, protRW, priv, 4), protectCall(a, n, 1)}, ""},
		"a file of its own":               {[]Call{mapFile(a, n, protRX, priv, 3)}, wx.Changeable},
		"a file of its own, shared":       {[]Call{mapFile(a, n, protRX, shared, 3)}, wx.Changeable},
		"a file of its own, read first":   {[]Call{mapFile(a, n, 1, priv, 3), protectCall(a, n, protRX)}, wx.Changeable},
		"at once":                         {[]Call{mapFile(a, n, 7, anon, -1)}, wx.Writable},
		"a library at once":               {[]Call{mapFile(a, n, 7, priv, 4)}, wx.Writable},
		"written, then executed":          {[]Call{mapFile(a, n, protRW, anon, -1), protectCall(a, n, protRX)}, wx.NoFile},
		"nothing first":                   {[]Call{mapFile(a, n, 0, anon, -1), protectCall(a, n, protRX)}, wx.NoFile},
		"code that was patched":           {[]Call{mapFile(a, n, protRX, priv, 4), protectCall(a, n, protRW), protectCall(a, n, protRX)}, wx.Written},
		"patched, via no access":          {[]Call{mapFile(a, n, protRW, priv, 4), protectCall(a, n, 0), protectCall(a, n, 1), protectCall(a, n, protRX)}, wx.Written},
		"one page of it":                  {[]Call{mapFile(a, n, protRX, priv, 4), protectCall(a+0x1000, 0x1000, protRW), protectCall(a, n, protRX)}, wx.Written},
		"one page, and not that":          {[]Call{mapFile(a, n, 1, priv, 4), protectCall(a+0x1000, 0x1000, protRW), protectCall(a+0x1000, 0x1000, 1), protectCall(a+0x2000, 0x1000, protRX)}, ""},
		"patched and moved":               {[]Call{mapFile(a, n, protRW, priv, 4), protectCall(a, n, 1), move(2 * a), protectCall(2*a, n, protRX)}, wx.Written},
		"moved, and then patched":         {[]Call{mapFile(a, n, protRW, priv, 4), move(2 * a), protectCall(2*a, n, 1), protectCall(2*a, n, protRX)}, wx.Written},
		"mapped anew where it was":        {[]Call{mapFile(a, n, protRW, priv, 4), protectCall(a, n, 1), mapFile(a, n, protRX, priv, 4)}, ""},
		"moved away, mapped anew":         {[]Call{mapFile(a, n, protRW, priv, 4), protectCall(a, n, 1), move(2 * a), mapFile(a, n, protRX, priv, 4)}, ""},
		"a key's protection":              {[]Call{mapFile(a, n, protRW, priv, 4), {Nr: linux.SYS_PKEY_MPROTECT, Observable: true, Args: [6]uint64{a, n, protRX, 1}}}, wx.Written},
		"a hole behind it":                {[]Call{mapFile(a, n, protRW, anon, -1), protectCall(a, 2*n, protRX)}, wx.NoFile},
		"the stack":                       {[]Call{protectCall(0x7ffffffde000, 0x1000, 7)}, wx.Writable},
		"the stack, with PROT_GROWSDOWN":  {[]Call{protectCall(0x7ffffffde000, 0x1000, protRX|linux.PROT_GROWSDOWN)}, wx.NoFile},
		"a personality":                   {[]Call{{Nr: linux.SYS_PERSONALITY, Args: [6]uint64{linux.READ_IMPLIES_EXEC}}}, wx.Writable},
		"a personality that is asked for": {[]Call{{Nr: linux.SYS_PERSONALITY, Args: [6]uint64{linux.PERSONALITY_QUERY}}}, ""},
	} {
		for _, mode := range []wx.Mode{wx.Deny, wx.Audit, wx.Allow} {
			k, task, _ := bootWX(t, mode)
			last := len(x.calls) - 1
			run(t, k, task, x.calls[:last]...)
			if f := k.TakeFindings(); len(f) != 0 {
				t.Fatalf("%s: found early: %v", name, f)
			}
			before, persona := task.MM().Totals(), task.personality
			v := run(t, k, task, x.calls[last])
			found := k.TakeFindings()
			switch {
			case mode == wx.Allow || x.want == "":
				if v.Kind == Refuse || len(found) != 0 {
					t.Errorf("%s, mode %d: %+v, found %v", name, mode, v, found)
				}
			case len(found) != 1 || found[0].Reason != x.want:
				t.Errorf("%s, mode %d: found %v, want %q", name, mode, found, x.want)
			case mode == wx.Audit:
				if v.Kind == Refuse {
					t.Errorf("%s: refused by an audit: %+v", name, v)
				}
			case v.Kind != Refuse || v.Result.Errno != linux.EACCES || v.Result.Refusal.Kind != limits.ByPolicy:
				t.Errorf("%s: %+v", name, v)
			case task.MM().Totals() != before || task.personality != persona:
				t.Errorf("%s: refused, and something has changed", name)
			}
		}
	}
}

// TestWXFailing: limits may be raised between our look at them and the kernel's own. So what would make memory
// executable if it did not fail is not run, and what would make it writable counts.
func TestWXFailing(t *testing.T) {
	const a, n, priv, anon = 0x10000000, 0x4000, linux.MAP_PRIVATE, linux.MAP_PRIVATE | linux.MAP_ANONYMOUS
	key := protectCall(a, n, protRX|linux.PROT_WRITE)
	key.Nr, key.Observable, key.Args[3] = linux.SYS_PKEY_MPROTECT, true, 1
	for name, x := range map[string]struct {
		first, then Call
		late        bool // the limits are there for the second call only
	}{
		"mmap":          {mapFile(a, n, 1, anon, -1), mapFile(2*a, n, 7, anon, -1), true},
		"mprotect":      {mapFile(a, n, 1, anon, -1), protectCall(a, n, 7), true},
		"pkey_mprotect": {mapFile(a, n, 1, anon, -1), key, true},
		"a hole":        {mapFile(a, n, 1, priv, 4), protectCall(a, 2*n, protRX), false},
	} {
		k, task, h := bootWX(t, wx.Deny)
		run(t, k, task, x.first)
		if x.late {
			h.limited = func(l *limits.Rlimits) { l.AS, l.Data = 0x1000, 0x1000 }
		}
		before := task.MM().Totals()
		if v := decide(t, k, task, x.then); v.Kind != Refuse || v.Result.Errno != linux.ENOMEM {
			t.Errorf("%s: %+v", name, v)
		}
		if task.MM().Totals() != before {
			t.Errorf("%s: something has changed", name)
		}
	}
	k, task, h := bootWX(t, wx.Deny)
	run(t, k, task, mapFile(a, n, 1, priv, 4))
	h.limited = func(l *limits.Rlimits) { l.Data = 0x1000 }
	h.maps[100] = "10000000-10004000 r--p 00000000 00:01 4 /lib/x.so\n" + image
	if v := run(t, k, task, protectCall(a, n, protRW)); v.Kind != Run || v.Result.Errno != linux.ENOMEM {
		t.Errorf("to be written: %+v", v)
	}
	if v := run(t, k, task, protectCall(a, n, protRX)); v.Kind != Refuse || v.Result.Errno != linux.EACCES {
		t.Errorf("executed, and perhaps written: %+v", v)
	}
}

// TestWXHiddenJustNow: that a task cannot be looked at may show in the middle of a decision.
func TestWXHiddenJustNow(t *testing.T) {
	k, task, h := bootWX(t, wx.Deny)
	h.hides = true
	const below = 0x7fffffeda000 // where the stack may have come to
	if v, err := k.Decide(task, mapFile(below, 0x1000, 7, linux.MAP_PRIVATE|linux.MAP_ANONYMOUS, -1)); !errors.Is(err, ErrHidden) {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestWXFork: a child has what its parent may have written.
func TestWXFork(t *testing.T) {
	k, task, _ := bootWX(t, wx.Deny)
	run(t, k, task, mapFile(0x10000000, 0x1000, protRW, linux.MAP_PRIVATE, 4), protectCall(0x10000000, 0x1000, 1))
	child := clone(t, k, task, 101, 0)
	child.space.mm = task.MM().Fork()
	if v := run(t, k, child, protectCall(0x10000000, 0x1000, protRX)); v.Kind != Refuse {
		t.Errorf("the child may execute it: %+v", v)
	}
}

// TestWXForkAlone: while a child is made of several threads' memory, none of these maps anything else over what
// was written, of which the child still has a copy.
func TestWXForkAlone(t *testing.T) {
	const a = 0x10000000
	k, one, _ := bootWX(t, wx.Deny)
	run(t, k, one, mapFile(a, 0x1000, protRW, linux.MAP_PRIVATE, 4), protectCall(a, 0x1000, 1))
	two := clone(t, k, one, 101, threadFlags)
	if v, err := k.DecideClone(one, linux.SYS_CLONE, 0); err != nil || v.Kind != Observe {
		t.Fatal(v, err)
	}
	if v := decide(t, k, two, mapFile(a, 0x1000, protRX, linux.MAP_PRIVATE, 4)); v.Kind != Wait {
		t.Errorf("something else is mapped meanwhile: %+v", v)
	}
	child := clone(t, k, one, 102, 0)
	k.EndClone(one)
	if !child.space.history.Overlaps(hostarch.Range(a, 0x1000)) {
		t.Error("the child does not know what was written")
	}
	if v := decide(t, k, two, mapFile(a, 0x1000, protRX, linux.MAP_PRIVATE, 4)); v.Kind != Rewrite && v.Kind != Observe {
		t.Errorf("afterwards: %+v", v)
	}
}

// TestWXExchangedDescriptor: between our look at a descriptor and the kernel's own, another thread may
// exchange it. What it maps is not executable before it is known what it is.
func TestWXExchangedDescriptor(t *testing.T) {
	const where = uint64(top - 0x1000)
	line := func(file string) string {
		return strings.Replace(image, "7ffff7ffd000-", "7ffff7ffc000-7ffff7ffd000 r--p 00000000 00:01 "+file+"\n7ffff7ffd000-", 1)
	}
	for file, refused := range map[string]bool{"4 /lib/x.so": false, "3 /tmp/own": true, "9 /memfd:evil (deleted)": true} {
		k, task, h := bootWX(t, wx.Deny)
		h.changeable["/memfd:evil (deleted)"] = true
		clone(t, k, task, 101, threadFlags|linux.CLONE_FILES)
		v := decide(t, k, task, mapFile(0, 0x1000, 0x100|protRX, linux.MAP_PRIVATE, 4))
		if v.Kind != Rewrite || v.Args[2] != 0x100|linux.PROT_READ {
			t.Fatalf("%s: %+v", file, v)
		}
		h.maps[100] = line(file)
		got, drift, err := k.Complete(task, int64(where))
		if drift != nil || err != nil {
			t.Fatal(drift, err)
		}
		c, more := k.Protect(task, got)
		if want := protectCall(where, 0x1000, protRX); !more || c != want {
			t.Fatalf("%s: then %+v", file, c)
		}
		if v := decide(t, k, task, c); (v.Kind == Refuse) != refused {
			t.Errorf("%s: %+v", file, v)
		}
		if _, more := k.Protect(task, mm.Result{Addr: hostarch.Addr(where)}); more {
			t.Errorf("%s: it is to be protected twice", file)
		}
	}
}

// TestWXImage: an image that is writable and executable, or that the sandbox has made, does not run.
func TestWXImage(t *testing.T) {
	for name, x := range map[string]struct {
		change func(h *fakeHost)
		want   string
	}{
		"as it should be": {func(*fakeHost) {}, ""},
		"an executable stack": {func(h *fakeHost) {
			h.maps[100] = strings.Replace(image, "rw-p 00000000 00:00 0 [stack]", "rwxp 00000000 00:00 0 [stack]", 1)
		}, "writable and executable at once"},
		"a file of its own": {func(h *fakeHost) {
			h.maps[100] = strings.Replace(image, "7ffff7ffd000-", "7ffff7ffc000-7ffff7ffd000 r-xp 00000000 00:01 3 /tmp/own\n7ffff7ffd000-", 1)
		}, "a file that the program can change (/tmp/own)"},
	} {
		k, _, h := bootWX(t, wx.Deny)
		x.change(h)
		_, why, err := k.Exec(100, 100)
		switch {
		case err != nil:
			t.Fatal(err)
		case x.want == "" && why != nil, x.want != "" && (why == nil || why.Detail != x.want):
			t.Errorf("%s: %+v", name, why)
		}
	}
}
