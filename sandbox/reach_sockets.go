package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sentry/linux"
)

// errNoDiag says that the kernel does not tell what unix sockets there are.
var errNoDiag = errors.New("no sock_diag for unix sockets")

// unixSocket is a unix socket with a name, as sock_diag(7) shows it.
type unixSocket struct {
	kind     byte   // SOCK_STREAM and others: an abstract name is one socket's of each
	inode    uint32 // of the socket itself
	path     bool   // it has a path, and not an abstract name
	name     string // as it was bound: with the leading NUL if it is abstract
	ino, dev uint32 // of its file: the low half of the inode number, and the device as the kernel has it
}

// mayReach decides whether the sandbox may connect to the sockets that fit: 0, or the errno that says that
// there is none. The error is errOutside when one of them is not the sandbox's.
func (s *supervisor) mayReach(fits func(*unixSocket) bool) (linux.Errno, error) {
	found := false
	for range 2 { // a long list can miss one while others end
		s.reach.looking.Lock()
		fitting, err := unixSockets(fits)
		s.reach.looking.Unlock()
		if err != nil {
			return 0, err
		}
		for i := range fitting {
			found = true
			if !s.owns(fitting[i].inode) {
				return 0, errOutside
			}
		}
		if found {
			return 0, nil
		}
	}
	return linux.ECONNREFUSED, nil
}

// place is a descriptor of a task.
type place struct {
	tid int
	fd  string
}

// owns reports whether a process of the tree has the socket. Who had it the last time is asked first.
func (s *supervisor) owns(inode uint32) bool {
	want := "socket:[" + strconv.FormatUint(uint64(inode), 10) + "]"
	has := func(p place) bool {
		name, err := os.Readlink(procPath(p.tid, "fd/"+p.fd))
		return err == nil && name == want
	}
	s.mu.Lock()
	last, known := s.reach.owners[inode]
	known = known && s.k.Task(last.tid) != nil
	tids := s.k.Tables()
	s.mu.Unlock()
	if known && has(last) {
		return true
	}
	for _, tid := range tids {
		entries, _ := os.ReadDir(procPath(tid, "fd")) // it may have ended
		for _, e := range entries {
			if p := (place{tid, e.Name()}); has(p) {
				s.remember(inode, p)
				return true
			}
		}
	}
	return false
}

// remember keeps who has a socket, of a bounded number of sockets.
func (s *supervisor) remember(inode uint32, p place) {
	const most = 1024
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reach.owners) >= most {
		clear(s.reach.owners)
	}
	s.reach.owners[inode] = p
}

// unixSockets returns the named unix sockets that fit, of those that are listening, or that nobody is connected
// to. Those that were accepted have their listener's name, and are of no interest. There can be very many others,
// and many who look.
func unixSockets(fits func(*unixSocket) bool) ([]unixSocket, error) {
	const (
		sockDiagByFamily = 20
		listening        = 10 // TCP_LISTEN
		closed           = 7  // TCP_CLOSE, which is every other that is not connected
		showName         = 1
		showVFS          = 2
	)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoDiag, err)
	}
	defer unix.Close(fd)
	// struct nlmsghdr and struct unix_diag_req.
	const size = unix.SizeofNlMsghdr + 24
	var req [size]byte
	put16, put32 := binary.NativeEndian.PutUint16, binary.NativeEndian.PutUint32
	put32(req[0:], size)
	put16(req[4:], sockDiagByFamily)
	put16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	req[16] = unix.AF_UNIX
	put32(req[20:], 1<<listening|1<<closed)
	put32(req[28:], showName|showVFS)
	if err := unix.Sendto(fd, req[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoDiag, err)
	}
	var fitting []unixSocket
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		done, err := eachSocket(buf[:n], func(l *unixSocket) {
			if fits(l) {
				fitting = append(fitting, *l)
			}
		})
		if done || err != nil {
			return fitting, err
		}
	}
}

// eachSocket parses one part of sock_diag's answer; done says that it was the last.
func eachSocket(b []byte, f func(*unixSocket)) (done bool, err error) {
	const (
		header   = unix.SizeofNlMsghdr
		diagSize = 16 // struct unix_diag_msg
		attrName = 0
		attrVFS  = 1
	)
	u16, u32 := binary.NativeEndian.Uint16, binary.NativeEndian.Uint32
	for len(b) >= header {
		size := int(u32(b))
		if size < header || size > len(b) {
			return false, errors.New("sock_diag: a message that is cut off")
		}
		msg := b[header:size]
		switch kind := u16(b[4:]); {
		case kind == unix.NLMSG_DONE:
			return true, nil
		case kind == unix.NLMSG_ERROR && len(msg) >= 4:
			return false, fmt.Errorf("%w: %w", errNoDiag, unix.Errno(-int32(u32(msg))))
		case len(msg) >= diagSize:
			l := unixSocket{kind: msg[1], inode: u32(msg[4:])}
			named := false
			for a := msg[diagSize:]; len(a) >= unix.SizeofRtAttr; {
				n := int(u16(a))
				if n < unix.SizeofRtAttr || n > len(a) {
					break
				}
				value := a[unix.SizeofRtAttr:n]
				switch u16(a[2:]) {
				case attrName:
					l.name, named = string(value), len(value) > 0
				case attrVFS:
					if len(value) >= 8 {
						l.ino, l.dev, l.path = u32(value), u32(value[4:]), true
					}
				}
				a = a[min(len(a), (n+3)&^3):]
			}
			if named || l.path {
				f(&l)
			}
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return false, nil
}
