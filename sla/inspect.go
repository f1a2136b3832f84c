package sla

import (
	"strings"

	"github.com/pxactions/px/model"
)

// Inspect is ParsePolicyFiles and Prepare in one, so that the faults of both are told
// at once, each with its place. Without a directory (nil) the codes of people and
// places are not looked at, and there are no rules.
func Inspect(files []File, dir *Directory) (*Policy, *Rules, error) {
	p := &Policy{}
	var rules *Rules
	err := readDocument(files, p, func() model.FieldErrors {
		c := newCompiler(0, dir)
		c.policy(p)
		faults := p.check()
		for _, f := range c.faults {
			if dir != nil || strings.HasSuffix(f.Field, ".calendar") { // calendars are of the policy itself
				faults = append(faults, f)
			}
		}
		if dir != nil {
			rules = c.rules
			faults = append(faults, rules.lacking()...)
		}
		return faults
	})
	if err != nil {
		return nil, nil, err
	}
	return p, rules, nil
}
