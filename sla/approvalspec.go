package sla

import (
	"fmt"
	"slices"
	"time"

	"github.com/pxactions/px/model"
)

// builtInApprovalReminder is how long before an approval is overdue its approvers
// are reminded.
const builtInApprovalReminder = 4 * time.Hour

// approval compiles who needs approval; nil: all.
func (s *ConfigSpec) approval() func(model.SourceType, model.Severity) bool {
	if !orTrue(s.RequiresApproval) {
		return func(model.SourceType, model.Severity) bool { return false }
	}
	if len(s.ApprovalExempt) == 0 {
		return nil
	}
	exempt := slices.Clone(s.ApprovalExempt)
	return func(st model.SourceType, sev model.Severity) bool {
		return !slices.ContainsFunc(exempt, func(e Exemption) bool {
			return (e.SourceType == "" || e.SourceType == st) && (e.Severity == "" || e.Severity == sev)
		})
	}
}

// approvalTerms compiles the approval's own clock.
func (s *ConfigSpec) approvalTerms(users map[string]model.UserID) Approval {
	terms := Approval{Target: TargetSpec{Time: ApprovalTarget}, Reminder: builtInApprovalReminder, StandIns: stageTargets(s.ApprovalStandIns, users)}
	if s.ApprovalTarget != nil {
		terms.Target = *s.ApprovalTarget
	}
	if s.ApprovalReminder != nil {
		terms.Reminder = time.Duration(*s.ApprovalReminder)
	}
	return terms
}

func orNeeds(given []Need, builtIn ...Need) []Need {
	if given == nil {
		return builtIn
	}
	return given
}

func (c *checker) approval(at string, s *ConfigSpec) {
	if t := s.ApprovalTarget; t != nil && (checkTarget(t.nominal()) != nil || t.nominal() > hours(maxHours)) {
		c.add(at+".approval_target", "range", "must be above 0 and at most ten years")
	}
	if r := s.ApprovalReminder; r != nil && (*r < 0 || int64(*r) > int64(hours(maxHours))) {
		c.add(at+".approval_reminder", "range", "must be 0s, for none, or more")
	}
	for _, list := range []struct {
		key   string
		needs []Need
	}{{"submission_needs", s.SubmissionNeeds}, {"complaint_needs", s.ComplaintNeeds}} {
		for i, n := range list.needs {
			here := fmt.Sprintf("%s.%s[%d]", at, list.key, i)
			if n == "" {
				c.add(here, "required", "must be one of %v", Needs())
			}
			oneOf(c, here, n, Needs())
		}
	}
}
