//go:build linux && amd64

package difftest

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/runsbx/runsbx/sentry/hostarch"
	"github.com/runsbx/runsbx/sentry/linux"
	"github.com/runsbx/runsbx/sentry/mm"
	"github.com/runsbx/runsbx/sentry/procmaps"
	"golang.org/x/sys/unix"
)

// read returns the whole of a file of /proc; it is valid until the next read.
func (g *guest) read(f *os.File) ([]byte, error) {
	if g.buf == nil {
		g.buf = make([]byte, 64<<10)
	}
	for n := 0; ; {
		got, err := f.ReadAt(g.buf[n:], int64(n))
		n += got
		if err == io.EOF || err == nil && got == 0 {
			return g.buf[:n], nil
		}
		if err != nil {
			return nil, err
		}
		if n == len(g.buf) {
			g.buf = append(g.buf, make([]byte, n)...)
		}
	}
}

// look reads the kernel's list of process i into s; full as state has it.
func (g *guest) look(i int, full bool, taskSize hostarch.Addr, s *state) error {
	p := g.procs[i]
	s.full, s.vmas, s.flags = full, s.vmas[:0], s.flags[:0]
	if !full {
		b, err := g.read(p.maps)
		if err != nil {
			return err
		}
		g.list, err = procmaps.AppendParse(g.list[:0], b)
		s.vmas = fromMaps(s.vmas, g.list, taskSize)
		return err
	}
	b, err := g.read(p.smaps)
	if err != nil {
		return err
	}
	if err := s.parseSmaps(b, taskSize); err != nil {
		return err
	}
	if b, err = g.read(p.status); err != nil {
		return err
	}
	return s.parseStatus(string(b))
}

// parseSmaps takes the VMAs and their flags from smaps.
func (s *state) parseSmaps(b []byte, taskSize hostarch.Addr) error {
	var list []procmaps.Entry
	vmFlags := []byte("\nVmFlags:")
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n') + 1
		at := bytes.Index(b, vmFlags)
		if end == 0 || at < 0 {
			return fmt.Errorf("smaps without VmFlags: %q", b)
		}
		var err error
		if list, err = procmaps.AppendParse(list[:0], b[:end]); err != nil {
			return err
		}
		b = b[at+len(vmFlags):]
		line := b[:bytes.IndexByte(b, '\n')]
		b = b[len(line)+1:]
		n := len(s.vmas)
		if s.vmas = fromMaps(s.vmas, list, taskSize); len(s.vmas) == n {
			continue
		}
		var f mm.Flags
		for _, name := range strings.Fields(string(line)) {
			f |= flagByName[name]
		}
		s.flags = append(s.flags, f)
	}
	return nil
}

// parseStatus takes the counters from status.
func (s *state) parseStatus(b string) error {
	s.sums = counters{}
	for line := range strings.Lines(b) {
		name, value, _ := strings.Cut(line, ":")
		var to *uint64
		switch name {
		case "VmSize":
			to = &s.sums.size
		case "VmLck":
			to = &s.sums.locked
		case "VmData":
			to = &s.sums.data
		case "VmStk":
			to = &s.sums.stack
		case "VmExe", "VmLib":
			to = &s.sums.exec
		default:
			continue
		}
		kb, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return err
		}
		*to += kb / 4
	}
	return nil
}

// run is one guest, the model of it, and what is written down of both.
type run struct {
	w         *world
	g         *guest
	x         *model
	rec       recorder
	st        state
	protected []hostarch.AddrRange // the guest's own memory
	ops       []op
	config    mm.Config
	smaps     int // look at smaps after every so many operations
}

// start starts a guest and seeds the model from it.
func (w *world) start(c conditions, smaps int, story []string) (*run, error) {
	g, err := w.startGuest(c)
	if err != nil {
		return nil, err
	}
	r := &run{w: w, g: g, smaps: smaps}
	h, err := r.header(c)
	if err == nil {
		h.story, r.config = story, h.config
		r.x, err = newModel(h)
	}
	if err == nil {
		err = g.look(0, true, r.config.TaskSize, &r.st)
	}
	if err != nil {
		g.stop()
		return nil, err
	}
	for _, v := range r.st.vmas {
		r.protected = append(r.protected, hostarch.AddrRange{Start: hostarch.Addr(v.start), End: hostarch.Addr(v.end)})
	}
	r.rec.begin(h, &r.st)
	return r, nil
}

// header describes the guest as it started.
func (r *run) header(c conditions) (*header, error) {
	h := &header{config: *config(), files: r.w.files, segs: r.w.segs, personality: linux.ADDR_NO_RANDOMIZE}
	h.seed = mm.SeedInfo{NoRandomize: true}
	if c.bottomUp {
		h.seed.Layout = mm.BottomUp
		h.personality |= linux.ADDR_COMPAT_LAYOUT
	}
	p := r.g.procs[0]
	if err := h.readLimits(p.pid); err != nil {
		return nil, err
	}
	b, err := r.g.read(p.status)
	if err != nil {
		return nil, err
	}
	if err := h.readCreds(string(b)); err != nil {
		return nil, err
	}
	if b, err = r.g.read(p.maps); err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(b)) {
		if i := strings.IndexByte(line, '/'); i >= 0 {
			line = line[:i] + "/guest\n"
		}
		h.maps += line
	}
	if b, err = r.g.read(p.stat); err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest) // from the third field on
	for i, to := range []*hostarch.Addr{&h.seed.StartData, &h.seed.EndData, &h.seed.StartBrk} {
		n, err := strconv.ParseUint(fields[45-3+i], 10, 64)
		if err != nil {
			return nil, err
		}
		*to = hostarch.Addr(n)
	}
	h.seed.Brk = h.seed.StartBrk
	return h, nil
}

// readLimits takes the limits from /proc/PID/limits.
func (h *header) readLimits(pid int) error {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return err
	}
	names := []string{"Max address space", "Max data size", "Max stack size", "Max locked memory"} // as resources
	for line := range strings.Lines(string(b)) {
		for i, name := range names {
			rest, ok := strings.CutPrefix(line, name)
			if !ok {
				continue
			}
			for j, to := range []*uint64{&h.soft[i], &h.hard[i]} {
				*to = inf
				if word := strings.Fields(rest)[j]; word != "unlimited" {
					if *to, err = strconv.ParseUint(word, 10, 64); err != nil {
						return err
					}
				}
			}
		}
	}
	h.seed.StackLimit = h.soft[slices.Index(resources, linux.RLIMIT_STACK)]
	return nil
}

// readCreds takes the capabilities from /proc/PID/status.
func (h *header) readCreds(status string) error {
	_, rest, ok := strings.Cut(status, "CapEff:")
	if !ok {
		return fmt.Errorf("no CapEff in status")
	}
	set, err := strconv.ParseUint(strings.Fields(rest)[0], 16, 64)
	has := func(c uint) bool { return set>>c&1 != 0 }
	h.creds = mm.Creds{IPCLock: has(unix.CAP_IPC_LOCK), SysRawIO: has(unix.CAP_SYS_RAWIO), SysResource: has(unix.CAP_SYS_RESOURCE),
		SysAdmin: has(unix.CAP_SYS_ADMIN), SysNice: has(unix.CAP_SYS_NICE)}
	return err
}

// step does one operation on both sides and returns how they differ, or "".
func (r *run) step(o op) string {
	r.ops = append(r.ops, o)
	ret, err := r.g.do(&o)
	if err != nil {
		return fmt.Sprintf("%v: the guest died: %v", o, err)
	}
	of := r.g.cur
	if o.nr == opLook {
		of = int(o.args[0])
	}
	full := len(r.ops)%r.smaps == 0 || o.nr == opLook
	if err := r.g.look(of, full, r.config.TaskSize, &r.st); err != nil {
		return fmt.Sprintf("%v: %v", o, err)
	}
	r.rec.step(&o, ret, &r.st)
	if d := r.x.step(&o, ret); d != "" {
		return d
	}
	return compare(r.x.procs[of].m, &r.st)
}
