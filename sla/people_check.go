package sla

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// check finds every fault of a directory document by itself.
func (d *DirectoryDoc) check() model.FieldErrors {
	c := &directoryChecker{seen: map[string]string{}}
	code := regexp.MustCompile(`^[A-Z][A-Z0-9]{1,7}$`)
	for i := range d.Hospitals {
		h, at := &d.Hospitals[i], fmt.Sprintf("hospitals[%d]", i)
		c.name(at, h.Name)
		c.unique(at, "hospital", h.Code)
		if !code.MatchString(h.Code) {
			c.add(at+".code", "format", "must be 2 to 8 capital letters and digits, a letter first")
		}
		c.zone(at, h.Zone)
		c.aliases(at, "hospital", h.Aliases)
	}
	for i := range d.Departments {
		p, at := &d.Departments[i], fmt.Sprintf("departments[%d]", i)
		if p.Hospital == "" {
			c.add(at+".hospital", "required", "must be a hospital's code")
		}
		c.name(at, p.Name)
		c.unique(at, "department of "+p.Hospital, p.Code)
		c.aliases(at, "department of "+p.Hospital, p.Aliases)
	}
	for i := range d.Users {
		c.user(fmt.Sprintf("users[%d]", i), &d.Users[i])
	}
	for i := range d.Surveys {
		c.survey(fmt.Sprintf("surveys[%d]", i), &d.Surveys[i])
	}
	return c.faults
}

// directoryChecker also knows the names given so far: kind, source, name.
type directoryChecker struct {
	checker
	seen map[string]string
}

// unique checks a code: there, without space around it, and not yet given.
func (c *directoryChecker) unique(at, kind, code string) {
	if code == "" || strings.TrimSpace(code) != code || len(code) > maxName {
		c.add(at+".code", "required", "must be 1 to %d characters without space around them", maxName)
		return
	}
	c.once(at+".code", kind, "", code)
}

// once records that a source system (empty: nobody, it is a code) calls
// something of a kind by a name.
func (c *directoryChecker) once(at, kind, source, name string) {
	key := fmt.Sprintf("%q %q %q", kind, source, name)
	if other, taken := c.seen[key]; taken {
		c.add(at, "duplicate", "must be unique, %s has it too", other)
		return
	}
	c.seen[key] = at
}

func (c *directoryChecker) aliases(at, kind string, all model.Aliases) {
	for _, source := range sortedKeys(all) {
		here := fmt.Sprintf("%s.aliases.%s", at, source)
		if strings.TrimSpace(source) == "" {
			c.add(here, "required", `must be under a source system, or "*" for all`)
		}
		for i, name := range all[source] {
			place := fmt.Sprintf("%s[%d]", here, i)
			if strings.TrimSpace(name) == "" {
				c.add(place, "required", "must not be blank")
				continue
			}
			c.once(place, kind, source, strings.TrimSpace(name))
		}
	}
}

func (c *directoryChecker) user(at string, u *UserSpec) {
	c.name(at, u.Name)
	c.unique(at, "user", u.Code)
	c.aliases(at, "user", u.Aliases)
	c.place(at, u.Hospital, u.Department)
	c.zone(at, u.Zone)
	if u.Email != "" {
		if a, err := mail.ParseAddress(u.Email); err != nil || a.Address != u.Email {
			c.add(at+".email", "format", "must be an address as name@example.org")
		}
	}
	for i, r := range u.Roles {
		if strings.TrimSpace(string(r)) == "" || len(r) > maxRole {
			c.add(fmt.Sprintf("%s.roles[%d]", at, i), "range", "must be the name of a role, 1 to %d characters", maxRole)
		}
	}
	for i, ch := range u.Channels {
		c.channel(fmt.Sprintf("%s.channels[%d]", at, i), ch, u)
	}
	if u.WebhookURL != "" {
		if w, err := url.Parse(u.WebhookURL); err != nil || w.Host == "" || w.Scheme != "https" && w.Scheme != "http" {
			c.add(at+".webhook_url", "format", "must be an http or https address")
		}
	}
	if u.Substitute != nil {
		c.substitute(at+".substitute", u)
	}
}

func (c *directoryChecker) channel(at string, ch model.Channel, u *UserSpec) {
	oneOf(&c.checker, at, ch, model.Channels())
	switch {
	case ch == "":
		c.add(at, "required", "must be one of %s", list(model.Channels()))
	case ch == model.ChannelEmail && u.Email == "":
		c.add(at, "conflict", "needs an email to send to")
	case ch == model.ChannelWebhook && u.WebhookURL == "":
		c.add(at, "conflict", "needs a webhook_url to send to")
	}
}

func (c *directoryChecker) substitute(at string, u *UserSpec) {
	s := u.Substitute
	if s.User == u.Code {
		c.add(at+".user", "conflict", "must be somebody else")
	}
	from, err := instant(s.From, "")
	if err != nil {
		c.add(at+".from", "format", "%s", err)
	}
	to, errTo := instant(s.To, "")
	if errTo != nil {
		c.add(at+".to", "format", "%s", errTo)
	}
	if err != nil || errTo != nil {
		return
	}
	switch {
	case to != nil && from == nil:
		c.add(at+".from", "required", "required with to")
	case to != nil && !to.After(*from):
		c.add(at+".to", "range", "must be after from")
	case from == nil && s.User == "":
		c.add(at, "required", "says nothing, give user, from, or both")
	}
}

func (c *directoryChecker) survey(at string, s *SurveySpec) {
	c.name(at, s.Name)
	c.unique(at, "survey", s.Code)
	c.aliases(at, "survey", s.Aliases)
	oneOf(&c.checker, at+".metric", s.Metric, []model.Metric{model.MetricScore, model.MetricNPS})
	oneOf(&c.checker, at+".better", s.Better, []model.Better{model.BetterHigh, model.BetterLow})
	if s.Min != nil && s.Max != nil && !(*s.Max > *s.Min && finite(*s.Max-*s.Min)) {
		c.add(at+".max", "range", "must be above min")
	}
	if s.Metric == model.MetricNPS {
		if s.Min != nil && *s.Min != 0 || s.Max != nil && *s.Max != 10 || s.Better == model.BetterLow {
			c.add(at+".metric", "conflict", "NPS runs from 0 to 10, high is better; leave min, max and better out")
		}
	}
}

func (c *directoryChecker) zone(at, zone string) {
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		c.add(at+".zone", "unknown", "must be an IANA time zone, as Asia/Riyadh")
	}
}

// instant reads an instant, or a date as midnight in a zone; nil for "".
func instant(s, zone string) (*time.Time, error) {
	if s == "" {
		return nil, nil
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		loc = time.UTC
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.ParseInLocation(time.DateOnly, s, loc)
	}
	if err != nil {
		return nil, fmt.Errorf("must be a date or an instant, as 2026-04-01 or 2026-04-01T08:00:00Z")
	}
	t = whole(t)
	return &t, nil
}
