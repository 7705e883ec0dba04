package ptrace

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notifications receives seccomp notifications until no task has the filter any more. It runs on
// a thread of its own, so that a notification, which costs a third of a stop, does not wait for
// one.
func (t *Tracer) notifications() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(t.notifsEnded)
	unix.Syscall(unix.SYS_IOCTL, uintptr(t.listener), ioctlNotifSetFlags, notifSyncWakeUp) // Linux 6.6; without it, only slower
	var n notif
	for {
		n = notif{}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(t.listener), ioctlNotifRecv, uintptr(unsafe.Pointer(&n)))
		switch errno {
		case 0:
			t.notified(&n)
		case unix.EINTR:
		case unix.ENOENT:
			// Either the notifying thread was killed meanwhile, or none is left.
			fds := []unix.PollFd{{Fd: int32(t.listener), Events: unix.POLLIN}}
			if k, _ := unix.Poll(fds, 0); k == 1 && fds[0].Revents&unix.POLLHUP != 0 {
				return
			}
		default:
			t.fail(&Error{Op: "receive a notification", Err: errno})
			return
		}
	}
}

// notified has the handler decide a notified call.
func (t *Tracer) notified(n *notif) {
	defer t.guard("notification")
	tid := int(n.pid)
	t.mu.Lock()
	k := t.tasks[tid]
	if k == nil {
		t.mu.Unlock()
		if !t.died(n.id) {
			t.fail(&Error{Op: "notification of an unknown thread", TID: tid, Err: unix.ESRCH})
		}
		return
	}
	proved := k.prove
	k.prove = false
	k.call = Syscall{Nr: uint64(uint32(n.nr)), Args: n.args, IP: n.ip, Mechanism: Notification}
	k.notifID = n.id
	k.state = parkedNotif
	t.mu.Unlock()
	if proved {
		t.handler.Proved(tid)
	}
	t.decideNotif(k)
}

// decideNotif has the handler decide the call of a thread that waits in a notification, and
// answers it.
func (t *Tracer) decideNotif(k *task) {
	t.mu.Lock()
	if k.state != parkedNotif {
		t.mu.Unlock()
		return // another thread is at it
	}
	k.state = deciding
	t.mu.Unlock()
	for {
		a := t.handler.SyscallEnter(k.tid, &k.call)
		t.mu.Lock()
		if a.Kind == Park {
			if k.state == deciding {
				k.state = parkedNotif
				t.mu.Unlock()
				return
			}
			k.state = deciding // Unpark came in between
			t.mu.Unlock()
			continue
		}
		k.state = running
		id := k.notifID
		t.mu.Unlock()
		t.answer(id, a)
		return
	}
}

// answer sends the handler's answer. The thread may have been killed meanwhile.
func (t *Tracer) answer(id uint64, a Action) {
	r := notifResp{id: id}
	switch a.Kind {
	case Continue:
		r.flags = notifFlagContinue
	case Return:
		if a.Value < 0 && a.Value >= -4095 {
			r.error = int32(a.Value)
		} else {
			r.val = a.Value
		}
	default:
		t.Kill() // Kill, or an answer that a notification cannot carry out
		return
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(t.listener), ioctlNotifSend, uintptr(unsafe.Pointer(&r)))
	if errno != 0 && errno != unix.ENOENT && errno != unix.EINTR {
		t.fail(&Error{Op: "answer a notification", Err: errno})
	}
}

// died reports whether the notification is no longer valid.
func (t *Tracer) died(id uint64) bool {
	const ioctlIDValid = 0x40082102
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(t.listener), ioctlIDValid, uintptr(unsafe.Pointer(&id)))
	return errno != 0
}

// endNotifications waits for the receiving thread, which ends when no task has the filter.
func (t *Tracer) endNotifications() {
	<-t.notifsEnded
	unix.Close(t.listener)
}
