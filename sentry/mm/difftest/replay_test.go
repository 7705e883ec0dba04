package difftest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/limits"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/procmaps"
)

// newModel makes the model of what a transcript starts with.
func newModel(h *header) (*model, error) {
	entries, err := procmaps.Parse([]byte(h.maps))
	if err != nil {
		return nil, err
	}
	p := &process{m: mm.New(&h.config), hard: h.hard}
	p.c = mm.Caller{Creds: h.creds, Personality: h.personality, Limits: limits.Unlimited()}
	for i, r := range resources {
		soft, _ := p.soft(r)
		*soft = h.soft[i]
	}
	p.c.Limits.DataMax = h.hard[1]
	if err := p.m.Seed(entries, h.seed); err != nil {
		return nil, err
	}
	p.m.AssumeUntouched()
	return &model{files: h.files, segs: h.segs, procs: []*process{p}, unsure: map[string]int{}, calls: map[string]int{}}, nil
}

// replay runs a transcript on the model alone and returns how often it differs from what the kernel
// did: never, or once.
func replay(text string) (x *model, err error) {
	var (
		h     header
		all   []*known
		cur   int
		o     *op
		ret   int64
		st    state
		in    *known
		where int
	)
	// settle makes the step that ended with the line before.
	settle := func() error {
		if err := in.fill(&st); err != nil {
			return err
		}
		if o != nil {
			if d := x.step(o, ret); d != "" {
				return fmt.Errorf("%s", d)
			}
		}
		m := x.now().m
		if o != nil && o.nr == opLook {
			m = x.procs[o.args[0]].m
		}
		if d := compare(m, &st); d != "" {
			return fmt.Errorf("%s", d)
		}
		return nil
	}
	for line := range strings.Lines(text) {
		where++
		line = strings.TrimSuffix(line, "\n")
		if x == nil {
			done, err := h.line(line)
			if err == nil && done {
				x, err = newModel(&h)
			}
			if err != nil {
				return x, fmt.Errorf("line %d: %v", where, err)
			}
			if !done {
				continue
			}
			entries, err := procmaps.Parse([]byte(h.maps))
			if err != nil {
				return x, err
			}
			in = &known{flags: map[uint64]seen{}, vmas: fromMaps(nil, entries, h.config.TaskSize)}
			all = []*known{in}
			continue
		}
		if isState, err := in.stateLine(line, &st); err != nil {
			return x, fmt.Errorf("line %d: %v", where, err)
		} else if isState {
			continue
		}
		if err := settle(); err != nil {
			return x, fmt.Errorf("before line %d: %v", where, err)
		}
		next, r, err := parseStep(line)
		if err != nil {
			return x, fmt.Errorf("line %d: %v", where, err)
		}
		if n := next.args[0]; (next.nr == opSwitch || next.nr == opLook) && n >= uint64(len(all)) {
			return x, fmt.Errorf("line %d: no process %d", where, n)
		}
		o, ret, st.full = &next, r, false
		in = follow(&all, &cur, o)
	}
	if x == nil {
		return nil, fmt.Errorf("it ends in the header")
	}
	if err := settle(); err != nil {
		return x, fmt.Errorf("before the end: %v", err)
	}
	return x, nil
}

// fromMaps appends the entries of a list below the task size to dst; above it is [vsyscall].
func fromMaps(dst []vma, entries []procmaps.Entry, taskSize hostarch.Addr) []vma {
	for i := range entries {
		e := &entries[i]
		if e.Range.Start >= taskSize {
			break
		}
		v := vma{start: uint64(e.Range.Start), end: uint64(e.Range.End), off: e.Offset, dev: e.Dev(), ino: e.Ino}
		for _, f := range []struct {
			set  bool
			flag mm.Flags
		}{{e.Read, mm.VM_READ}, {e.Write, mm.VM_WRITE}, {e.Exec, mm.VM_EXEC}, {e.Shared, mm.VM_MAYSHARE}} {
			if f.set {
				v.perms |= f.flag
			}
		}
		dst = append(dst, v)
	}
	return dst
}

// TestTranscripts replays what the kernel once did, on the model alone.
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/*.transcript")
	if err != nil || len(names) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".transcript"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := replay(string(text)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReplayNotices changes a transcript in one place at a time: each must be noticed.
func TestReplayNotices(t *testing.T) {
	b, err := os.ReadFile("testdata/fork-anon-merge.transcript")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	if _, err := replay(text); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, from, to string }{
		{"an answer", "0x3 0x32 0xffffffffffffffff = 0x10000000000\n", "0x3 0x32 0xffffffffffffffff = ENOMEM\n"},
		{"an address", "+10000002000-10000003000 rw-p", "+10000002000-10000004000 rw-p"},
		{"permissions", "+10000002000-10000003000 rw-p", "+10000002000-10000003000 r--p"},
		{"a VMA less", "+10000002000-10000003000 rw-p 0 0:0\n", ""},
		{"two that were one", "-10000004000\n+10000004000-10000007000 rw-p", "+10000006000-10000007000 rw-p"},
		{"a flag", "f 10000008000 rd wr mr mw me ac wf", "f 10000008000 rd wr mr mw me ac"},
		{"flags of no VMA", "f 10000008000 rd", "f 10000018000 rd"},
		{"an unknown flag", "f 10000008000 rd", "f 10000008000 xx"},
		{"a counter", "\nn 51 0 7 33 3\n", "\nn 51 0 8 33 3\n"},
		{"a call less", "touch 0x10000000000 0x1 = 0x0\nn\n", ""},
		{"a call unknown", "\nfork 0x1 = 0x0", "\nvfork 0x1 = 0x0"},
		{"a process unknown", "\nswitch = 0x0", "\nswitch 0x7 = 0x0"},
		{"the end of the header", "\nbegin\n", "\n"},
		{"a field unknown", "\nconfig ", "\nconfig Nothing=true "},
		{"the version", transcriptMagic, "runsbx-mm-transcript 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(text, c.from, c.to, 1)
			if bad == text {
				t.Fatalf("no %q in the transcript", c.from)
			}
			if _, err := replay(bad); err == nil {
				t.Error("not noticed")
			} else {
				t.Log(err)
			}
		})
	}
}

// TestTranscriptText: what is written of a run is read back as it was.
func TestTranscriptText(t *testing.T) {
	b, err := os.ReadFile("testdata/fork-anon-merge.transcript")
	if err != nil {
		t.Fatal(err)
	}
	head, steps, _ := strings.Cut(string(b), "begin\n")
	h := new(header)
	for line := range strings.Lines(head) {
		if _, err := h.line(strings.TrimSuffix(line, "\n")); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.String(); got != head+"begin\n" {
		t.Errorf("the header came back as\n%s", got)
	}
	for line := range strings.Lines(steps) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.Contains(line, " = ") {
			continue
		}
		o, ret, err := parseStep(line)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%v = %s", o, outcome(&o, ret)); got != line {
			t.Errorf("%q came back as %q", line, got)
		}
	}
}
