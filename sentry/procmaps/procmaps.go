// Package procmaps reads the kernel's own list of an address space's mappings, as
// /proc/PID/maps prints it. It parses bytes and opens no files.
package procmaps

import (
	"fmt"

	"github.com/runsbx/runsbx/sentry/hostarch"
)

// Entry is one line: one VMA.
type Entry struct {
	Range        hostarch.AddrRange
	Read         bool
	Write        bool
	Exec         bool
	Shared       bool   // 's' (VM_MAYSHARE), not 'p'
	Offset       uint64 // bytes; 0 for mappings without a file
	Major, Minor uint32 // of the file's device
	Ino          uint64 // 0 for mappings without a file
	Name         string // path or "[...]" as printed, with its octal escapes; may be empty
}

// Dev returns the device number in the form of stat's st_dev (makedev).
func (e *Entry) Dev() uint64 {
	major, minor := uint64(e.Major), uint64(e.Minor)
	return minor&0xff | major&0xfff<<8 | minor&^0xff<<12 | major&^0xfff<<32
}

// Parse reads a whole list. It is strict: a line that the kernel would not have written is an
// error, and so are ranges that are empty, overlap or descend.
func Parse(b []byte) ([]Entry, error) {
	return AppendParse(nil, b)
}

// AppendParse is Parse into dst[len(dst):], whose memory it reuses. It allocates for names only,
// and not for a name that equals the one of the line before.
func AppendParse(dst []Entry, b []byte) ([]Entry, error) {
	first := len(dst)
	for line := 1; len(b) > 0; line++ {
		var prev *Entry
		if len(dst) > first {
			prev = &dst[len(dst)-1]
		}
		s := scanner{b: b}
		e, ok := s.entry(prev)
		if !ok {
			return dst, fmt.Errorf("procmaps: line %d: malformed at byte %d of %q", line, s.i, firstLine(b))
		}
		if e.Range.Start >= e.Range.End || prev != nil && e.Range.Start < prev.Range.End {
			return dst, fmt.Errorf("procmaps: line %d: range %v is empty or out of order", line, e.Range)
		}
		dst = append(dst, e)
		b = b[s.i:]
	}
	return dst, nil
}

// firstLine returns the line that b starts with, shortened for messages.
func firstLine(b []byte) []byte {
	const most = 200
	for i, c := range b {
		if c == '\n' || i == most {
			return b[:i]
		}
	}
	return b
}

// scanner reads one line from b at i.
type scanner struct {
	b []byte
	i int
}

// entry reads
//
//	start-end rwxp offset major:minor inode      name\n
func (s *scanner) entry(prev *Entry) (e Entry, ok bool) {
	var start, end, major, minor uint64
	ok = s.number(16, &start) && s.char('-') && s.number(16, &end) && s.char(' ') &&
		s.flag('r', '-', &e.Read) && s.flag('w', '-', &e.Write) && s.flag('x', '-', &e.Exec) &&
		s.flag('s', 'p', &e.Shared) && s.char(' ') &&
		s.number(16, &e.Offset) && s.char(' ') &&
		s.number(16, &major) && s.char(':') && s.number(16, &minor) && s.char(' ') &&
		s.number(10, &e.Ino) && major <= 1<<32-1 && minor <= 1<<32-1 && s.name(prev, &e.Name)
	e.Range = hostarch.AddrRange{Start: hostarch.Addr(start), End: hostarch.Addr(end)}
	e.Major, e.Minor = uint32(major), uint32(minor)
	return e, ok
}

func (s *scanner) char(c byte) bool {
	if s.i >= len(s.b) || s.b[s.i] != c {
		return false
	}
	s.i++
	return true
}

func (s *scanner) flag(yes, no byte, v *bool) bool {
	*v = s.char(yes)
	return *v || s.char(no)
}

// number reads digits of base 10 or 16, in lower case.
func (s *scanner) number(base uint64, v *uint64) bool {
	begin := s.i
	for ; s.i < len(s.b); s.i++ {
		c := s.b[s.i]
		var d uint64
		switch {
		case '0' <= c && c <= '9':
			d = uint64(c - '0')
		case base == 16 && 'a' <= c && c <= 'f':
			d = uint64(c-'a') + 10
		default:
			return s.i > begin
		}
		if *v > (1<<64-1-d)/base {
			return false
		}
		*v = *v*base + d
	}
	return s.i > begin
}

// name reads the padding and the rest of the line, which ends with a newline. Without a name the
// kernel leaves one space after the inode, or none.
func (s *scanner) name(prev *Entry, name *string) bool {
	padded := false
	for s.char(' ') {
		padded = true
	}
	begin := s.i
	for s.i < len(s.b) && s.b[s.i] != '\n' {
		s.i++
	}
	text := s.b[begin:s.i]
	if !s.char('\n') || len(text) > 0 && !padded {
		return false
	}
	if prev != nil && prev.Name == string(text) {
		*name = prev.Name
	} else {
		*name = string(text)
	}
	return true
}
