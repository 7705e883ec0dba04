package procmaps

import (
	"os"
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
)

func TestParse(t *testing.T) {
	const text = "00400000-00401000 r-xp 00001000 fe:01 325835                             /bin/a b\\012c (deleted)\n" +
		"7f0000000000-7f0000001000 rw-s 00000000 00:01 77 \n" +
		"7ffff0000000-7ffff0021000 rw-p 00000000 00:00 0                          [stack]\n" +
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
	got, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{Range: hostarch.AddrRange{Start: 0x400000, End: 0x401000}, Read: true, Exec: true, Offset: 0x1000,
			Major: 0xfe, Minor: 1, Ino: 325835, Name: `/bin/a b\012c (deleted)`},
		{Range: hostarch.AddrRange{Start: 0x7f0000000000, End: 0x7f0000001000}, Read: true, Write: true, Shared: true, Minor: 1, Ino: 77},
		{Range: hostarch.AddrRange{Start: 0x7ffff0000000, End: 0x7ffff0021000}, Read: true, Write: true, Name: "[stack]"},
		{Range: hostarch.AddrRange{Start: 0xffffffffff600000, End: 0xffffffffff601000}, Exec: true, Name: "[vsyscall]"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d:\n got %+v\nwant %+v", i+1, got[i], want[i])
		}
	}
	if d := got[0].Dev(); d != 0xfe01 {
		t.Errorf("Dev() = %#x, want 0xfe01", d)
	}
}

func TestParseRejects(t *testing.T) {
	const good = "1000-2000 rw-p 00000000 00:00 0 \n"
	for name, text := range map[string]string{
		"no newline":       "1000-2000 rw-p 00000000 00:00 0 ",
		"empty line":       "\n",
		"upper case":       "1000-2A00 rw-p 00000000 00:00 0 \n",
		"bad permission":   "1000-2000 rwzp 00000000 00:00 0 \n",
		"missing field":    "1000-2000 rw-p 00000000 00:00\n",
		"empty range":      "1000-1000 rw-p 00000000 00:00 0 \n",
		"overlap":          good + "1800-3000 rw-p 00000000 00:00 0 \n",
		"descending":       "3000-4000 rw-p 00000000 00:00 0 \n" + good,
		"17 digits":        "1000-20000000000000000 rw-p 00000000 00:00 0 \n",
		"inode too large":  "1000-2000 rw-p 00000000 00:00 18446744073709551616 \n",
		"name not padded":  "1000-2000 rw-p 00000000 00:00 0[heap]\n",
		"device too large": "1000-2000 rw-p 00000000 100000000:00 0 \n",
	} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseSelf(t *testing.T) {
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	entries, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); len(entries) != n {
		t.Errorf("%d entries from %d lines", len(entries), n)
	}
}

func TestAppendParseReuses(t *testing.T) {
	text := []byte("" +
		"1000-2000 r--p 00000000 fe:00 5                          /lib/x\n" +
		"2000-3000 r-xp 00001000 fe:00 5                          /lib/x\n" +
		"3000-4000 rw-p 00002000 fe:00 5                          /lib/x\n")
	dst := make([]Entry, 0, 8)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := AppendParse(dst[:0], text); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations, want at most the one for the name", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("00400000-00401000 r-xp 00001000 fe:01 325835      /bin/a b\\012c (deleted)\n"))
	f.Add([]byte("1000-2000 rw-s 00000000 00:01 77 \n2000-3000 ---p 00000000 00:00 0 \n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := Parse(b)
		if err != nil {
			return
		}
		var last hostarch.Addr
		for _, e := range entries {
			if e.Range.Start < last || e.Range.Start >= e.Range.End || strings.Contains(e.Name, "\n") {
				t.Fatalf("accepted %+v from %q", e, b)
			}
			last = e.Range.End
		}
	})
}

func BenchmarkAppendParse(b *testing.B) {
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		b.Skip(err)
	}
	var dst []Entry
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if dst, err = AppendParse(dst[:0], text); err != nil {
			b.Fatal(err)
		}
	}
}
