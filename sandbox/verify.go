package sandbox

import (
	"github.com/runsbx/runsbx/sandbox/policy"
	"github.com/runsbx/runsbx/sentry/kernel"
)

// check compares the model of t's address space with the kernel's list.
func (s *supervisor) check(t *kernel.Task) {
	drift, done, err := s.k.Verify(t)
	if err != nil {
		s.fail("verify", t.TID, err)
		return
	}
	if done {
		s.report.Verified++
	}
	if drift != nil {
		s.drifted(t, drift)
		return
	}
	if err := s.checkCharges(t, done); err != nil {
		s.fail("accounts of "+t.Group.Name, t.TID, err)
	}
}

// checkCharges compares what is charged with what is there: the ledger with its parts, and, where the
// address space of t stands still, the model's counts with what the kernel has counted.
func (s *supervisor) checkCharges(t *kernel.Task, still bool) error {
	if err := s.k.CheckLedger(); err != nil {
		return err
	}
	if !still || !s.k.Counts() {
		return nil
	}
	b, err := s.machine.read(t.TID, "smaps")
	if err != nil {
		return err
	}
	list, err := parseSmaps(b)
	if err != nil {
		return err
	}
	if !hasMappings(t.TID) {
		return nil // it was killed meanwhile, and the list may be cut
	}
	return compareCharges(list, t.MM())
}

// drifted records a difference between the model and the kernel. Where verification was asked
// for, it is a failure. A difference that comes from a setting of the machine that was changed
// meanwhile is none: the model has taken over what the kernel says, and goes on with the new ones.
func (s *supervisor) drifted(t *kernel.Task, d *kernel.Drift) {
	if now, err := probeConfig(); err == nil && *now != s.probed {
		s.log.Warn("settings have changed", "thread", t.TID, "were", s.probed, "are", *now, "seen by", d.Error())
		s.probed = *now
		s.k.Reconfigure(*now)
		return
	}
	s.report.drift(t, d)
	s.log.Warn("drift", "thread", t.TID, "program", t.Group.Name, "what", d.Error())
	if s.verify != policy.VerifyOff {
		s.fail("drift in "+t.Group.Name, t.TID, d)
	}
}
