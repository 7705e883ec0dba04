package sandbox

import "golang.org/x/sys/unix"

// timeUp notes that the tree is about to be killed since its time is up.
func (s *supervisor) timeUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = true
}

func (s *supervisor) timedOut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.late
}

// confinedBy has the report say what the program is confined by.
func (s *supervisor) confinedBy(x *confinement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x != nil {
		s.report.Confinement = x.report
	}
}

// failure returns what failed, or nil.
func (s *supervisor) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// finish completes the report when the tree has ended.
func (s *supervisor) finish(status unix.WaitStatus, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil && err != nil {
		s.failed = &Error{Op: "wait", Err: err}
	}
	if s.trace != nil {
		if err := s.trace.close(); err != nil && s.failed == nil {
			s.failed = &Error{Op: "trace", Err: err}
		}
	}
	if err := s.k.CheckLedger(); err != nil && s.failed == nil {
		s.failed = &Error{Op: "accounts at the end", Err: err}
	}
	s.report.finish(status, s.k, &s.ends, s.failed)
	if s.late && s.failed == nil {
		s.report.Cause, s.report.EndedBy = CauseTimeout, nil
	}
	s.machine.inodes.close()
	s.reach.close(s.machine)
	for _, x := range s.watching.suspect {
		unix.Close(x.fd)
	}
}

// cannotStart completes the report of a program that the policy's limits kept from starting.
func (s *supervisor) cannotStart(e *LimitError) {
	s.finish(unix.WaitStatus(e.Status), nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.cannotStart(e)
}

func (s *supervisor) reportCopy() *Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.report.clone()
}
