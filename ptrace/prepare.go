package ptrace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// Call is a system call that the program makes for us before its first instruction, such as
// landlock_restrict_self(2) or capset(2). An errno keeps it from starting.
type Call struct {
	Op   string // for errors: what it does
	Nr   uint64
	Args [6]uint64
	// Data, where it is not nil, is memory for the call: argument i is then its address, and Args[i]
	// is not looked at. The program's own memory is as before afterwards.
	Data [6][]byte
}

// lent returns the first of the descriptors that Config.Lent are in the program.
func (cfg *Config) lent(link *fdLink) int {
	n := len(cfg.Files)
	if link.theirs >= 0 {
		n++
	}
	return n
}

// prepare makes the calls that Config.Prepare asks for, and closes what they alone need.
func (t *Tracer) prepare(in *injector, cfg *Config, link *fdLink) error {
	first := cfg.lent(link)
	if cfg.Prepare != nil {
		calls, err := cfg.Prepare(t.pid, first)
		if err != nil {
			return err
		}
		for i := range calls {
			if err := in.make(&calls[i]); err != nil {
				return err
			}
		}
	}
	last := first + len(cfg.Lent) - 1
	if cfg.CloseOthers {
		last = math.MaxInt32
	}
	if last < first {
		return nil
	}
	_, err := in.call("close_range", unix.SYS_CLOSE_RANGE, uint64(first), uint64(last), 0)
	return err
}

// make has the process make one call.
func (in *injector) make(c *Call) error {
	args := c.Args
	size := 0
	for _, b := range c.Data {
		size += (len(b) + 15) &^ 15
	}
	if size > 0 {
		addr, err := in.scratch(size)
		if err != nil {
			return err
		}
		for i, b := range c.Data {
			if b == nil {
				continue
			}
			if err := in.write(addr, b); err != nil {
				return err
			}
			args[i] = addr
			addr += uint64(len(b)+15) &^ 15
		}
	}
	_, err := in.call(c.Op, c.Nr, args[:]...)
	return err
}

// seccomp has the process load a filter, and returns what seccomp(2) does.
func (in *injector) seccomp(filter []byte, flags uint64) (uint64, error) {
	// struct sock_fprog, followed by the filter.
	const header = 16
	addr, err := in.scratch(header + len(filter))
	if err != nil {
		return 0, err
	}
	prog := make([]byte, header, header+len(filter))
	binary.NativeEndian.PutUint16(prog, uint16(len(filter)/8))
	binary.NativeEndian.PutUint64(prog[8:], addr+header)
	if err := in.write(addr, append(prog, filter...)); err != nil {
		return 0, err
	}
	return in.call("seccomp(SECCOMP_SET_MODE_FILTER)", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, addr)
}

// load has the stopped process load more filters. Nothing but this is made under them by us, so that
// they may refuse whatever they like.
func (t *Tracer) load(filters [][]byte) (err error) {
	if len(filters) == 0 {
		return nil
	}
	in, err := t.newInjector()
	if err != nil {
		return err
	}
	defer func() {
		if rerr := in.restore(); err == nil {
			err = rerr
		}
	}()
	for _, f := range filters {
		if _, err := in.seccomp(f, 0); err != nil {
			return err
		}
	}
	return nil
}

// check returns an error when there is no Handler, no filter, or one that the kernel would not take.
func (cfg *Config) check() error {
	if cfg.Handler == nil {
		return &Error{Op: "start", Err: errors.New("no Handler")}
	}
	for _, f := range append([][]byte{cfg.Filter}, cfg.Filters...) {
		if len(f) == 0 || len(f)%8 != 0 || len(f)/8 > unix.BPF_MAXINSNS {
			return &Error{Op: "start", Err: fmt.Errorf("a filter of %d bytes", len(f))}
		}
	}
	return nil
}
