package sandbox

import (
	"errors"
	"io"
	"os"
	"reflect"
	"syscall"
)

// files returns the program's descriptors 0, 1, 2, ... and prepares the copying that those which
// are not files need.
func (c *Cmd) files() ([]*os.File, error) {
	stdin, err := c.reader(c.Stdin)
	if err != nil {
		return nil, err
	}
	stdout, err := c.writer(c.Stdout)
	if err != nil {
		return nil, err
	}
	stderr := stdout
	if c.Stderr == nil || !sameWriter(c.Stderr, c.Stdout) {
		if stderr, err = c.writer(c.Stderr); err != nil {
			return nil, err
		}
	}
	return append([]*os.File{stdin, stdout, stderr}, c.ExtraFiles...), nil
}

// sameWriter reports whether both are one writer, which is then written through one pipe so that
// the order is kept. Writers that cannot be compared are different.
func sameWriter(a, b io.Writer) bool {
	return a != nil && b != nil && reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}

func (c *Cmd) reader(r io.Reader) (*os.File, error) {
	switch r := r.(type) {
	case nil:
		return c.devNull(os.O_RDONLY)
	case *os.File:
		return r, nil
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, pr)
	c.stdinEnd = pw
	c.copies = append(c.copies, func() error {
		_, err := io.Copy(pw, r)
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
			err = nil // the program does not read all of it, which is its own business
		}
		if cerr := pw.Close(); err == nil && !errors.Is(cerr, os.ErrClosed) {
			err = cerr
		}
		return err
	})
	return pr, nil
}

func (c *Cmd) writer(w io.Writer) (*os.File, error) {
	switch w := w.(type) {
	case nil:
		return c.devNull(os.O_WRONLY)
	case *os.File:
		return w, nil
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, pw)
	c.copies = append(c.copies, func() error {
		_, err := io.Copy(w, pr)
		pr.Close() // not before the end: a write to a closed pipe would kill the program
		return err
	})
	return pw, nil
}

func (c *Cmd) devNull(flag int) (*os.File, error) {
	f, err := os.OpenFile(os.DevNull, flag, 0)
	if err != nil {
		return nil, err
	}
	c.closers = append(c.closers, f)
	return f, nil
}

// closeAll gives up all that files opened, when the program was not started after all.
func (c *Cmd) closeAll() {
	closeEach(c.closers)
	if c.stdinEnd != nil {
		c.stdinEnd.Close()
	}
	c.closers, c.copies = nil, nil
}

func closeEach(cs []io.Closer) {
	for _, x := range cs {
		x.Close()
	}
}
