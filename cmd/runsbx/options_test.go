package main

import (
	"strings"
	"testing"
	"time"
)

// FuzzTimeout: what is taken for a duration is one, more than nothing, and every error is one line.
func FuzzTimeout(f *testing.F) {
	for _, s := range []string{"10s", "5m", "1h30m", "0", "-1s", "1", "", "9999999h", ".5s", "1e3s", "\n", "+1ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var o options
		err := setTimeout(&o, s)
		d, perr := time.ParseDuration(s)
		if (err == nil) != (perr == nil && d > 0) || o.policy.Timeout < 0 || err == nil && o.policy.Timeout != d {
			t.Errorf("%q: %v, %v", s, o.policy.Timeout, err)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %q", s, err)
		}
	})
}

// FuzzFd: only descriptors that are open are taken, each once.
func FuzzFd(f *testing.F) {
	for _, s := range []string{"0", "3", "99", "-1", "", "18446744073709551616", "4294967296", "0x3", "03"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var o options
		err := setFd(&o, s)
		if err == nil && (len(o.fds) != 1 || o.fds[0] < 0 || !isOpen(o.fds[0])) || err != nil && len(o.fds) != 0 {
			t.Errorf("%q: %v, %v", s, o.fds, err)
		}
		if err == nil && setFd(&o, s) == nil {
			t.Errorf("%q is taken twice", s)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %q", s, err)
		}
	})
}
