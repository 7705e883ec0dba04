package ptrace

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// takeFd returns a copy of the stopped process's descriptor fd: by pidfd_getfd(2), or, where that
// is not permitted (Docker's default profile), by having the process send it.
func takeFd(in *injector, fd int) (int, error) {
	pidfd, err := unix.PidfdOpen(in.pid, 0)
	if err == nil {
		defer unix.Close(pidfd)
		var got int
		if got, err = unix.PidfdGetfd(pidfd, fd, 0); err == nil {
			return got, nil
		}
	}
	got, serr := sentFd(in, fd)
	if serr != nil {
		return -1, &Error{Op: "take the filter's listener", TID: in.pid,
			Err: fmt.Errorf("pidfd_getfd: %w; by socket: %w", err, serr)}
	}
	return got, nil
}

// sentFd makes the process send its descriptor fd to a socket of ours. The socket has an address
// that the kernel chose (autobind, in the abstract namespace), and only what comes with the
// process's own id, which the kernel vouches for, is taken.
func sentFd(in *injector, fd int) (int, error) {
	sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(sock)
	if err := unix.SetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return -1, err
	}
	if err := unix.Bind(sock, &unix.SockaddrUnix{}); err != nil {
		return -1, err
	}
	sa, err := unix.Getsockname(sock)
	if err != nil {
		return -1, err
	}
	name := sa.(*unix.SockaddrUnix).Name // "@" stands for the leading zero byte
	if len(name) < 2 || name[0] != '@' {
		return -1, fmt.Errorf("unexpected socket name %q", name)
	}
	out, err := in.call("socket", unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = in.sendFd(out, name, fd)
	if _, cerr := in.call("close", unix.SYS_CLOSE, out); err == nil {
		err = cerr
	}
	if err != nil {
		return -1, err
	}
	return receiveFd(sock, in.pid)
}

// sendFd makes the process send fd over its socket to the abstract address name.
func (in *injector) sendFd(sock uint64, name string, fd int) error {
	// msghdr (56 bytes), iovec (16), cmsghdr with one descriptor (24), address, one byte of data
	const iov, cmsg, addr = 56, 72, 96
	b := make([]byte, addr+2+len(name)+1)
	base := in.scratch(len(b))
	put64 := func(at int, v uint64) { binary.NativeEndian.PutUint64(b[at:], v) }
	put32 := func(at int, v uint32) { binary.NativeEndian.PutUint32(b[at:], v) }
	put64(0, base+addr)
	put32(8, uint32(2+len(name)))
	put64(16, base+iov)
	put64(24, 1)
	put64(32, base+cmsg)
	put64(40, 24)
	put64(iov, base+uint64(len(b)-1))
	put64(iov+8, 1)
	put64(cmsg, 20)
	put32(cmsg+8, unix.SOL_SOCKET)
	put32(cmsg+12, unix.SCM_RIGHTS)
	put32(cmsg+16, uint32(fd))
	binary.NativeEndian.PutUint16(b[addr:], unix.AF_UNIX)
	copy(b[addr+2:], "\x00"+name[1:])
	if err := in.write(base, b); err != nil {
		return err
	}
	_, err := in.call("sendmsg", unix.SYS_SENDMSG, sock, base, 0)
	return err
}

// receiveFd takes the descriptor out of the one message that process pid has sent.
func receiveFd(sock, pid int) (int, error) {
	var data [1]byte
	oob := make([]byte, 256)
	_, n, _, _, err := unix.Recvmsg(sock, data[:], oob, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
	if err != nil {
		return -1, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return -1, err
	}
	fd, from := -1, 0
	for i := range msgs {
		switch msgs[i].Header.Type {
		case unix.SCM_RIGHTS:
			fds, err := unix.ParseUnixRights(&msgs[i])
			if err != nil || len(fds) != 1 {
				return -1, errors.New("not one descriptor")
			}
			fd = fds[0]
		case unix.SCM_CREDENTIALS:
			cred, err := unix.ParseUnixCredentials(&msgs[i])
			if err != nil {
				return -1, err
			}
			from = int(cred.Pid)
		}
	}
	if fd < 0 || from != pid {
		if fd >= 0 {
			unix.Close(fd)
		}
		return -1, fmt.Errorf("a message of process %d", from)
	}
	return fd, nil
}
