package difftest

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// A transcript is a run written down: what the kernel was asked, what it answered, and what its list
// looked like then. It is text, a line for each thing:
//
//	runsbx-mm-transcript 1
//	# what it is about
//	config THP=true ...                mm.Config, zero fields left out
//	creds IPCLock=true ...             mm.Creds
//	personality 0x40000
//	seed Layout=1 NoRandomize=true ... mm.SeedInfo
//	limit 9 SOFT HARD                  for each resource, bytes
//	file FD "what" Readable=true ...   mm.File; "bad" instead of it when mmap answers EBADF
//	segment Kind=6 Size=20481 ...      a System V segment
//	map 00400000-00401000 r--p ...     the kernel's list at the start, as /proc/PID/maps has it
//	begin
//	f 400000 rd mr mw me               flags and counters at the start, as below
//	n 35 0 2 33 1
//	mmap 0x10000000000 0x1000 ... = 0x10000000000
//	-10000000000                       the VMA that began there is gone, or another
//	+10000000000-10000001000 rw-p 0 0:0
//	f 10000000000 rd wr mr mw me ac    its flags in smaps, where they are others than before
//	n 36 0 3 33 1                      pages: size, locked, data, stack, exec; alone: as before
//
// Lists and flags are differences to what was last known of that process; "n" says that the flags of
// all VMAs and the counters were looked at.
const transcriptMagic = "runsbx-mm-transcript 1"

// header is what a transcript says before its first step.
type header struct {
	story       []string
	config      mm.Config
	creds       mm.Creds
	personality uint64
	seed        mm.SeedInfo
	soft, hard  [4]uint64 // as resources has them
	files       []file
	segs        []*mm.File
	maps        string // lines of /proc/PID/maps
}

// fields prints the fields of a struct that are not zero.
func fields(v any) string {
	var b strings.Builder
	s := reflect.ValueOf(v)
	for i := range s.NumField() {
		f := s.Field(i)
		if f.IsZero() {
			continue
		}
		fmt.Fprintf(&b, " %s=", s.Type().Field(i).Name)
		switch f.Kind() {
		case reflect.Bool:
			b.WriteString("true")
		case reflect.String:
			b.WriteString(strconv.QuoteToASCII(f.String()))
		case reflect.Int:
			fmt.Fprintf(&b, "%d", f.Int())
		default:
			fmt.Fprintf(&b, "%#x", f.Uint())
		}
	}
	return b.String()
}

// setFields sets the fields of the struct that v points to, as fields printed them.
func setFields(v any, s string) error {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		name, rest, ok := strings.Cut(s, "=")
		f := reflect.ValueOf(v).Elem().FieldByName(name)
		if !ok || !f.IsValid() {
			return fmt.Errorf("no field %q", name)
		}
		value, next, _ := strings.Cut(rest, " ")
		var err error
		switch f.Kind() {
		case reflect.String:
			if value, err = strconv.QuotedPrefix(rest); err != nil {
				return err
			}
			next = rest[len(value):]
			if value, err = strconv.Unquote(value); err == nil {
				f.SetString(value)
			}
		case reflect.Bool:
			f.SetBool(value == "true")
		case reflect.Int:
			var n int64
			n, err = strconv.ParseInt(value, 0, 64)
			f.SetInt(n)
		default:
			var n uint64
			n, err = strconv.ParseUint(value, 0, 64)
			f.SetUint(n)
		}
		if err != nil {
			return err
		}
		s = next
	}
	return nil
}

func (h *header) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, transcriptMagic)
	for _, s := range h.story {
		fmt.Fprintf(&b, "# %s\n", s)
	}
	fmt.Fprintf(&b, "config%s\ncreds%s\npersonality %#x\nseed%s\n", fields(h.config), fields(h.creds), h.personality, fields(h.seed))
	for i, r := range resources {
		fmt.Fprintf(&b, "limit %d %#x %#x\n", r, h.soft[i], h.hard[i])
	}
	for _, f := range h.files {
		if f.file == nil {
			fmt.Fprintf(&b, "file %d %q bad\n", int32(f.fd), f.what)
			continue
		}
		fmt.Fprintf(&b, "file %d %q%s\n", int32(f.fd), f.what, fields(*f.file))
	}
	for _, s := range h.segs {
		fmt.Fprintf(&b, "segment%s\n", fields(*s))
	}
	for line := range strings.Lines(h.maps) {
		fmt.Fprintf(&b, "map %s", line)
	}
	b.WriteString("begin\n")
	return b.String()
}

// line takes a line of the header; done says that it was the last.
func (h *header) line(s string) (done bool, err error) {
	word, rest, _ := strings.Cut(s, " ")
	switch word {
	case transcriptMagic[:strings.IndexByte(transcriptMagic, ' ')]:
		if s != transcriptMagic {
			err = fmt.Errorf("version %s, not that of %q", rest, transcriptMagic)
		}
	case "#":
		h.story = append(h.story, rest)
	case "config":
		err = setFields(&h.config, rest)
	case "creds":
		err = setFields(&h.creds, rest)
	case "personality":
		h.personality, err = strconv.ParseUint(rest, 0, 64)
	case "seed":
		err = setFields(&h.seed, rest)
	case "limit":
		var r, soft, hard uint64
		_, err = fmt.Sscanf(rest, "%d %v %v", &r, &soft, &hard)
		if i := slices.Index(resources, r); i >= 0 {
			h.soft[i], h.hard[i] = soft, hard
		}
	case "file":
		err = h.fileLine(rest)
	case "segment":
		f := new(mm.File)
		err = setFields(f, rest)
		h.segs = append(h.segs, f)
	case "map":
		h.maps += rest + "\n"
	case "begin":
		done = true
	default:
		err = fmt.Errorf("unknown line %q", s)
	}
	return done, err
}

func (h *header) fileLine(s string) error {
	var f file
	fd, rest, _ := strings.Cut(s, " ")
	n, err := strconv.ParseInt(fd, 10, 32)
	if err != nil {
		return err
	}
	f.fd = uint64(n)
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return err
	}
	if f.what, err = strconv.Unquote(quoted); err != nil {
		return err
	}
	if rest = strings.TrimSpace(rest[len(quoted):]); rest != "bad" {
		f.file = new(mm.File)
		err = setFields(f.file, rest)
	}
	h.files = append(h.files, f)
	return err
}

// known is what was last seen of a process.
type known struct {
	vmas  []vma
	flags map[uint64]seen // by start
	sums  counters
}

type seen struct {
	end   uint64
	flags mm.Flags
}

func (k *known) clone() *known {
	n := &known{vmas: slices.Clone(k.vmas), flags: map[uint64]seen{}, sums: k.sums}
	for start, s := range k.flags {
		n.flags[start] = s
	}
	return n
}

// follow returns which process a step leaves a list of, and makes room for those that it made.
func follow(all *[]*known, cur *int, o *op) *known {
	switch o.nr {
	case opFork:
		*all = append(*all, (*all)[*cur].clone())
		if o.args[0] != 0 {
			*cur = len(*all) - 1
		}
	case opSwitch:
		*cur = int(o.args[0])
	case opLook:
		return (*all)[o.args[0]]
	}
	return (*all)[*cur]
}

// recorder writes a transcript.
type recorder struct {
	b   bytes.Buffer
	all []*known
	cur int
}

// begin writes the header and the state at the start.
func (r *recorder) begin(h *header, s *state) {
	r.b.WriteString(h.String())
	r.all = []*known{{vmas: slices.Clone(s.vmas), flags: map[uint64]seen{}}}
	r.state(r.all[0], s)
}

func (r *recorder) step(o *op, ret int64, s *state) {
	fmt.Fprintf(&r.b, "%v = %s\n", o, outcome(o, ret))
	r.state(follow(&r.all, &r.cur, o), s)
}

// state writes what changed.
func (r *recorder) state(k *known, s *state) {
	i, j := 0, 0
	for i < len(k.vmas) || j < len(s.vmas) {
		switch {
		case i < len(k.vmas) && j < len(s.vmas) && k.vmas[i] == s.vmas[j]:
			i, j = i+1, j+1
		case j == len(s.vmas) || i < len(k.vmas) && k.vmas[i].start <= s.vmas[j].start:
			fmt.Fprintf(&r.b, "-%x\n", k.vmas[i].start)
			i++
		default:
			fmt.Fprintf(&r.b, "+%v\n", s.vmas[j])
			j++
		}
	}
	k.vmas = append(k.vmas[:0], s.vmas...)
	if !s.full {
		return
	}
	now := make(map[uint64]seen, len(s.vmas))
	for i, v := range s.vmas {
		now[v.start] = seen{v.end, s.flags[i]}
		if now[v.start] != k.flags[v.start] {
			fmt.Fprintf(&r.b, "f %x %s\n", v.start, flagString(s.flags[i]))
		}
	}
	k.flags = now
	if s.sums == k.sums {
		r.b.WriteString("n\n")
		return
	}
	k.sums = s.sums
	fmt.Fprintf(&r.b, "n %d %d %d %d %d\n", s.sums.size, s.sums.locked, s.sums.data, s.sums.stack, s.sums.exec)
}

// stateLine takes a line of a state into k, and reports whether it was one.
func (k *known) stateLine(line string, s *state) (bool, error) {
	if line == "" {
		return false, fmt.Errorf("an empty line")
	}
	switch rest := line[1:]; line[0] {
	case '-':
		start, err := strconv.ParseUint(rest, 16, 64)
		i := slices.IndexFunc(k.vmas, func(v vma) bool { return v.start == start })
		if err != nil || i < 0 {
			return true, fmt.Errorf("no VMA begins at %s", rest)
		}
		k.vmas = slices.Delete(k.vmas, i, i+1)
	case '+':
		v, err := parseVMA(rest)
		if err != nil {
			return true, err
		}
		i, _ := slices.BinarySearchFunc(k.vmas, v.start, func(v vma, at uint64) int {
			if v.start < at {
				return -1
			}
			return 1
		})
		k.vmas = slices.Insert(k.vmas, i, v)
	case 'f':
		if line[1] != ' ' {
			return false, nil
		}
		return true, k.flagLine(strings.Fields(rest))
	case 'n':
		s.full = true
		if rest == "" {
			return true, nil
		}
		c := &k.sums
		_, err := fmt.Sscanf(rest, "%d %d %d %d %d", &c.size, &c.locked, &c.data, &c.stack, &c.exec)
		return true, err
	default:
		return false, nil
	}
	return true, nil
}

func (k *known) flagLine(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("flags of nothing")
	}
	start, err := strconv.ParseUint(words[0], 16, 64)
	i := slices.IndexFunc(k.vmas, func(v vma) bool { return v.start == start })
	if err != nil || i < 0 {
		return fmt.Errorf("no VMA begins at %s", words[0])
	}
	var f mm.Flags
	for _, name := range words[1:] {
		if flagByName[name] == 0 {
			return fmt.Errorf("no flag %q", name)
		}
		f |= flagByName[name]
	}
	k.flags[start] = seen{k.vmas[i].end, f}
	return nil
}

// fill makes s what is known now. The flags of a VMA that is another than before must have been said.
func (k *known) fill(s *state) error {
	s.vmas, s.flags, s.sums = k.vmas, s.flags[:0], k.sums
	if !s.full {
		return nil
	}
	now := make(map[uint64]seen, len(k.vmas))
	for _, v := range k.vmas {
		f, ok := k.flags[v.start]
		if !ok || f.end != v.end {
			return fmt.Errorf("no flags of %v", v)
		}
		now[v.start] = f
		s.flags = append(s.flags, f.flags)
	}
	k.flags = now
	return nil
}

var errnoByName = map[string]linux.Errno{}

func init() {
	for e := linux.Errno(1); e < 4096; e++ { // a fixed address near the top is taken for an errno
		errnoByName[e.Name()] = e
	}
}

// parseStep reads what recorder.step wrote of an operation.
func parseStep(line string) (o op, ret int64, err error) {
	what, answer, ok := strings.Cut(line, " = ")
	words := strings.Fields(what)
	if !ok || len(words) == 0 || len(words) > 7 {
		return o, 0, fmt.Errorf("no operation: %q", line)
	}
	if o.nr, ok = opNumbers[words[0]]; !ok {
		return o, 0, fmt.Errorf("no operation %q", words[0])
	}
	for i, w := range words[1:] {
		if o.args[i], err = strconv.ParseUint(w, 0, 64); err != nil {
			return o, 0, err
		}
	}
	if e, ok := errnoByName[answer]; ok {
		return o, -int64(e), nil
	}
	var signal, code int64
	if _, err := fmt.Sscanf(answer, "signal %d code %d", &signal, &code); err == nil {
		return o, signal<<8 | code, nil
	}
	n, err := strconv.ParseUint(answer, 0, 64)
	return o, int64(n), err
}
