package wx

import (
	"errors"
	"testing"

	"github.com/runsbx/runsbx/sentry/mm"
)

func TestJudge(t *testing.T) {
	const rx, rwx = mm.VM_READ | mm.VM_EXEC, mm.VM_READ | mm.VM_WRITE | mm.VM_EXEC
	library := &mm.File{Name: "/lib/x.so"}
	var written History
	written.Add(at(1, 2))
	for name, x := range map[string]struct {
		v      mm.VMA
		h      History
		theirs bool // programs can change the file
		want   Reason
	}{
		"a library":                   {v: mm.VMA{Flags: rx, File: library}},
		"a library, not executable":   {v: mm.VMA{Flags: mm.VM_READ, File: library}, theirs: true},
		"a file of their own":         {v: mm.VMA{Flags: rx, File: library}, theirs: true, want: Changeable},
		"a library's written pages":   {v: mm.VMA{Flags: rx, File: library}, h: written, want: Written},
		"a library, writable":         {v: mm.VMA{Flags: rwx, File: library}, want: Writable},
		"anonymous memory":            {v: mm.VMA{Flags: rx}, want: NoFile},
		"anonymous memory, writable":  {v: mm.VMA{Flags: rwx}, want: Writable},
		"a device":                    {v: mm.VMA{Flags: rx, File: &mm.File{Kind: mm.Device, Name: "/dev/x"}}, want: NoFile},
		"/dev/zero":                   {v: mm.VMA{Flags: rx, File: &mm.File{Kind: mm.DevZero, Name: "/dev/zero"}}, want: NoFile},
		"a segment":                   {v: mm.VMA{Flags: rx, File: &mm.File{Kind: mm.SysV, Name: "/SYSV0"}}, want: NoFile},
		"a memfd":                     {v: mm.VMA{Flags: rx, File: &mm.File{Kind: mm.Shmem, Name: "/memfd:x (deleted)"}}, theirs: true, want: Changeable},
		"the vdso":                    {v: mm.VMA{Flags: rx, Rare: &mm.Rare{Special: "[vdso]"}}},
		"a vdso that was written":     {v: mm.VMA{Flags: rx, Rare: &mm.Rare{Special: "[vdso]"}}, h: written, want: Written},
		"named memory is not special": {v: mm.VMA{Flags: rx, Rare: &mm.Rare{Name: "[vdso]"}}, want: NoFile},
		"shared memory, read-only":    {v: mm.VMA{Flags: rx | mm.VM_SHARED, File: library}},
		"shared memory of their own":  {v: mm.VMA{Flags: rx | mm.VM_SHARED, File: library}, theirs: true, want: Changeable},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Judge(&x.v, at(1, 3), &x.h, func(*mm.File) (bool, error) { return x.theirs, nil })
			if err != nil || got != x.want {
				t.Errorf("%q, %v; want %q", got, err, x.want)
			}
		})
	}
	gone := errors.New("gone")
	if _, err := Judge(&mm.VMA{Flags: rx, File: library}, at(1, 3), &History{}, func(*mm.File) (bool, error) { return false, gone }); !errors.Is(err, gone) {
		t.Errorf("error %v is lost", err)
	}
}

func TestFinding(t *testing.T) {
	v := mm.VMA{File: &mm.File{Name: "/lib/x.so"}, PgOff: 3}
	f := FindingOf(at(10, 20), at(12, 13), &v, Changeable)
	if f.Offset != 5<<12 || f.String() != "a file that the program can change (/lib/x.so)" {
		t.Errorf("%+v: %s", f, f)
	}
	if f := FindingOf(at(10, 20), at(12, 13), &mm.VMA{}, NoFile); f.String() != "memory of no file" {
		t.Error(f)
	}
}
