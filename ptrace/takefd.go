package ptrace

import (
	"encoding/binary"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// fdLink is how the filter's listener comes from the program to us: by pidfd_getfd(2), or, where
// that is not permitted (Docker's default profile), over a socket that the program inherits and
// is made to close before its first instruction.
type fdLink struct {
	ours, theirs int // the socket's ends, or -1
	slot         int // the descriptor that theirs is in the program
}

// CanGetFd reports whether pidfd_getfd works at all. That it is not permitted for one process says nothing of
// others.
func CanGetFd() bool { return canGetFd() }

// canGetFd is CanGetFd, tried on ourselves. It has to be known before the program is forked.
var canGetFd = sync.OnceValue(func() bool {
	pidfd, err := unix.PidfdOpen(unix.Getpid(), 0)
	if err != nil {
		return false
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, pidfd, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
})

func newFdLink() (*fdLink, error) {
	if canGetFd() {
		return &fdLink{ours: -1, theirs: -1}, nil
	}
	return newSocketLink()
}

func newSocketLink() (*fdLink, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, &Error{Op: "socketpair", Err: err}
	}
	return &fdLink{ours: pair[0], theirs: pair[1]}, nil
}

// inherit adds the program's end to the descriptors that it will have.
func (l *fdLink) inherit(files []uintptr) []uintptr {
	if l.theirs < 0 {
		return files
	}
	l.slot = len(files)
	return append(files, uintptr(l.theirs))
}

// close closes both of our descriptors.
func (l *fdLink) close() {
	if l.ours >= 0 {
		unix.Close(l.ours)
		unix.Close(l.theirs)
	}
	l.ours, l.theirs = -1, -1
}

// take returns a copy of the program's descriptor fd.
func (l *fdLink) take(in *injector, fd uint64) (int, error) {
	var got int
	var err error
	if l.ours < 0 {
		got, err = getFd(in.pid, int(fd))
	} else if err = l.send(in, fd); err == nil {
		got, err = l.receive()
	}
	if err != nil {
		return -1, &Error{Op: "take the filter's listener", TID: in.pid, Err: err}
	}
	return got, nil
}

func getFd(pid, fd int) (int, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(pidfd)
	got, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return -1, fmt.Errorf("pidfd_getfd: %w", err)
	}
	return got, nil
}

// send makes the program send its descriptor fd over its end. The filter is on already, and must
// let sendmsg pass.
func (l *fdLink) send(in *injector, fd uint64) error {
	// msghdr (56 bytes), iovec (16), cmsghdr with one descriptor (24), one byte of data
	const iov, cmsg, data, size = 56, 72, 96, 97
	base, err := in.scratch(size)
	if err != nil {
		return err
	}
	var b [size]byte
	put64 := func(at int, v uint64) { binary.NativeEndian.PutUint64(b[at:], v) }
	put32 := func(at int, v uint32) { binary.NativeEndian.PutUint32(b[at:], v) }
	put64(16, base+iov)
	put64(24, 1)
	put64(32, base+cmsg)
	put64(40, 24)
	put64(iov, base+data)
	put64(iov+8, 1)
	put64(cmsg, 20)
	put32(cmsg+8, unix.SOL_SOCKET)
	put32(cmsg+12, unix.SCM_RIGHTS)
	put32(cmsg+16, uint32(fd))
	if err := in.write(base, b[:]); err != nil {
		return err
	}
	_, err = in.call("sendmsg", unix.SYS_SENDMSG, uint64(l.slot), base, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return err
}

func (l *fdLink) receive() (int, error) {
	var data [1]byte
	var oob [64]byte
	_, n, _, _, err := unix.Recvmsg(l.ours, data[:], oob[:], unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return -1, fmt.Errorf("recvmsg: %w", err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return -1, fmt.Errorf("recvmsg: %w", err)
	}
	for i := range msgs {
		if fds, err := unix.ParseUnixRights(&msgs[i]); err == nil && len(fds) == 1 {
			return fds[0], nil
		}
	}
	return -1, fmt.Errorf("recvmsg: no descriptor came")
}

// closeTheirs makes the program close its end.
func (l *fdLink) closeTheirs(in *injector) error {
	if l.ours < 0 {
		return nil
	}
	_, err := in.call("close", unix.SYS_CLOSE, uint64(l.slot))
	return err
}
