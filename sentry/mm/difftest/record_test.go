//go:build linux && amd64

package difftest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
)

// TestRecord makes the transcripts in testdata anew: their operations are made again, and the answers
// and lists of the running kernel take the place of what was there. Of a new one, the story, the
// creds, the personality and the operations are enough, with "?" for the answers.
func TestRecord(t *testing.T) {
	if !*record {
		t.Skip("only with -record")
	}
	names, err := filepath.Glob("testdata/*.transcript")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".transcript"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			h, ops, err := w.readOps(string(text))
			if err != nil {
				t.Fatal(err)
			}
			c := conditions{privileged: h.creds.IPCLock,
				bottomUp: h.seed.Layout == mm.BottomUp || h.personality&linux.ADDR_COMPAT_LAYOUT != 0}
			r, d := w.replay(c, ops, 1, h.story...)
			if d != "" {
				t.Error(d)
			}
			if err := os.WriteFile(name, r.rec.b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// readOps returns the operations of a transcript. Files are looked up by what they are, since another
// machine may not have all of them.
func (w *world) readOps(text string) (*header, []op, error) {
	h, begun := new(header), false
	var ops []op
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if !begun {
			var err error
			if begun, err = h.line(line); err != nil {
				return nil, nil, err
			}
			continue
		}
		what, _, isOp := strings.Cut(line, " = ")
		if !isOp {
			continue
		}
		o, _, err := parseStep(what + " = 0")
		if err != nil {
			return nil, nil, err
		}
		if o.nr == linux.SYS_MMAP && o.args[4] < uint64(len(h.files)) {
			if o.args[4], err = w.fileLike(h.files[o.args[4]].what); err != nil {
				return nil, nil, err
			}
		}
		ops = append(ops, o)
	}
	return h, ops, nil
}

func (w *world) fileLike(what string) (uint64, error) {
	for i, f := range w.files {
		if f.what == what {
			return uint64(i), nil
		}
	}
	return 0, fmt.Errorf("this machine has no %q", what)
}
