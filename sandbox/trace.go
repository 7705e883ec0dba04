package sandbox

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/runsbx/runsbx/sentry/blame"
	"github.com/runsbx/runsbx/sentry/kernel"
	"github.com/runsbx/runsbx/sentry/linux"
)

// TraceSchema is the version of the trace's JSON lines. The first line of a trace is
// {"schema":1}; every other line is one decision.
const TraceSchema = 1

// tracer writes decisions as lines of JSON. It is not safe for concurrent use.
type tracer struct {
	w   *bufio.Writer
	buf []byte
	err error
}

func newTracer(w io.Writer) *tracer {
	t := &tracer{w: bufio.NewWriterSize(w, 64<<10)}
	t.write(append(strconv.AppendInt([]byte(`{"schema":`), TraceSchema, 10), "}\n"...))
	return t
}

// write writes one whole line. A line is never cut: when it does not fit, the buffer is flushed
// before it, so that what a crash leaves behind ends with a whole line.
func (t *tracer) write(line []byte) {
	if t.err != nil {
		return
	}
	if t.w.Available() < len(line) {
		if t.err = t.w.Flush(); t.err != nil {
			return
		}
	}
	_, t.err = t.w.Write(line)
}

// event writes one decision; refused says more of one that was refused.
func (t *tracer) event(now time.Time, task *kernel.Task, c *kernel.Call, v *kernel.Verdict, refused *blame.Refusal) error {
	b := append(t.buf[:0], `{"time":"`...)
	b = now.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, `","pid":`...)
	b = strconv.AppendInt(b, int64(task.Group.TGID), 10)
	b = append(b, `,"tid":`...)
	b = strconv.AppendInt(b, int64(task.TID), 10)
	b = append(b, `,"program":`...)
	b = appendJSON(b, task.Group.Name)
	b = append(b, `,"call":"`...)
	if refused != nil {
		b = append(b, refused.Call...)
	} else {
		b = append(b, linux.SyscallName(c.Nr)...)
	}
	b = append(b, `","args":[`...)
	for i, a := range c.Args {
		if i > 0 {
			b = append(b, ',')
		}
		// As strings: JSON numbers lose bits past 2^53 in many readers.
		b = append(b, `"0x`...)
		b = strconv.AppendUint(b, a, 16)
		b = append(b, '"')
	}
	b = append(b, `],"verdict":"`...)
	b = append(b, v.Kind.String()...)
	b = append(b, '"')
	if r := &v.Result; r.Errno != 0 {
		b = append(b, `,"errno":"`...)
		b = append(b, r.Errno.Name()...)
		b = append(b, '"')
	} else {
		b = append(b, `,"value":"0x`...)
		b = strconv.AppendUint(b, uint64(v.Result.Addr), 16)
		b = append(b, '"')
	}
	if refused != nil {
		f := refused.Why
		if c.IP != 0 {
			b = append(b, `,"ip":"0x`...)
			b = strconv.AppendUint(b, c.IP, 16)
			b = append(b, '"')
		}
		b = append(b, `,"asked":`...)
		b = strconv.AppendUint(b, refused.Asked, 10)
		b = append(b, `,"`...)
		b = append(b, f.Kind.String()...)
		b = append(b, `":{"resource":"`...)
		b = append(b, f.Resource...)
		b = append(b, `","used":`...)
		b = strconv.AppendUint(b, f.Used, 10)
		b = append(b, `,"wanted":`...)
		b = strconv.AppendUint(b, f.Wanted, 10)
		b = append(b, `,"limit":`...)
		b = strconv.AppendUint(b, f.Limit, 10)
		b = append(b, '}')
	}
	b = append(b, "}\n"...)
	t.buf = b
	t.write(b)
	return t.err
}

// finding writes memory that was found not to be executable, before the decision in which it was.
func (t *tracer) finding(task *kernel.Task, r *WXRecord) error {
	line, err := json.Marshal(struct {
		Time time.Time `json:"time"`
		WX   *WXRecord `json:"wx"`
	}{time.Now().UTC(), r})
	if err != nil {
		return err
	}
	t.write(append(line, '\n'))
	return t.err
}

// close writes what is buffered.
func (t *tracer) close() error {
	if t.err == nil {
		t.err = t.w.Flush()
	}
	return t.err
}

// appendJSON appends s as a JSON string. Bytes that are not plain ASCII, of which a program's name
// may have any, are written as escapes.
func appendJSON(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c >= 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
