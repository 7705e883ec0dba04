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
