package web

import (
	"fmt"
	"strings"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// label writes a code for people: in_progress is "In progress".
func label(v any) string {
	s := strings.ReplaceAll(fmt.Sprint(v), "_", " ")
	switch s {
	case "":
		return ""
	case "kpi":
		return "KPI"
	case "ack missed":
		return "Not started"
	}
	s = strings.Replace(s, "sla ", "SLA ", 1)
	return strings.ToUpper(s[:1]) + s[1:]
}

// eventName names a deadline event with its stage.
func eventName(kind model.EventKind, stage int) string {
	switch kind {
	case model.EventOverdue:
		return "Overdue"
	case model.EventEscalation:
		return fmt.Sprintf("Escalation, stage %d", stage)
	case model.EventReminder:
		return fmt.Sprintf("Reminder %d", stage)
	case model.EventApprovalOverdue:
		return fmt.Sprintf("Approval %d overdue", stage)
	case model.EventApprovalReminder:
		return fmt.Sprintf("Reminder to approve %d", stage)
	case model.EventAck:
		return fmt.Sprintf("Start of the work due, assignment %d", stage)
	case model.EventResume:
		return fmt.Sprintf("End of hold %d", stage)
	default:
		return label(kind)
	}
}

// span writes a length of time in its two largest units: 2 d 4 h, 3 h 20 min,
// 45 s.
func span(d time.Duration) string {
	d = d.Abs()
	switch { // to the smaller of the two units that are told
	case d >= 24*time.Hour:
		d = d.Round(time.Hour)
	case d >= time.Hour:
		d = d.Round(time.Minute)
	}
	s := int64(d / time.Second)
	units := []struct {
		name string
		size int64
	}{{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}}
	for i, u := range units {
		if s < u.size {
			continue
		}
		text := fmt.Sprintf("%d %s", s/u.size, u.name)
		if i+1 < len(units) {
			if rest := s % u.size / units[i+1].size; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, units[i+1].name)
			}
		}
		return text
	}
	return "0 s"
}

// moment is an instant as a page shows it.
type moment struct {
	ISO string // for machines; empty: no instant
	Abs string // in the hospital's zone
	Rel string // from now: in 3 h, 2 d ago
}

// reader knows what a page needs to write names and times.
type reader struct {
	now   time.Time
	dir   *sla.Directory
	zones map[string]*time.Location
}

func newReader(now model.Now, dir *sla.Directory) *reader {
	return &reader{now: now.Domain, dir: dir, zones: map[string]*time.Location{}}
}

// zone is a hospital's time zone, UTC where it has none that is known.
func (r *reader) zone(id model.HospitalID) *time.Location {
	h := r.dir.Hospitals[id]
	if h == nil {
		return time.UTC
	}
	loc, ok := r.zones[h.Zone]
	if !ok {
		var err error
		if loc, err = time.LoadLocation(h.Zone); err != nil {
			loc = time.UTC
		}
		r.zones[h.Zone] = loc
	}
	return loc
}

func (r *reader) moment(at time.Time, hospital model.HospitalID) moment {
	rel := "now"
	switch d := at.Sub(r.now).Round(time.Second); {
	case d > 0:
		rel = "in " + span(d)
	case d < 0:
		rel = span(d) + " ago"
	}
	return moment{ISO: at.UTC().Format(time.RFC3339), Abs: at.In(r.zone(hospital)).Format("Mon 2 Jan 2006, 15:04 MST"), Rel: rel}
}

// optional is moment for an instant that may be missing.
func (r *reader) optional(at *time.Time, hospital model.HospitalID) moment {
	if at == nil {
		return moment{}
	}
	return r.moment(*at, hospital)
}

// user names a person; "" for nobody, the id for somebody unknown.
func (r *reader) user(id *model.UserID) string {
	if id == nil {
		return ""
	}
	if u := r.dir.Users[*id]; u != nil {
		return u.Name
	}
	return id.String()
}

// users names people in a row, each isolated, because names are written from
// the left or from the right.
func (r *reader) users(ids []model.UserID) string {
	const isolate, end = "\u2068", "\u2069"
	names := make([]string, len(ids))
	for i := range ids {
		names[i] = isolate + r.user(&ids[i]) + end
	}
	return strings.Join(names, ", ")
}

func (r *reader) hospital(id model.HospitalID) string {
	if h := r.dir.Hospitals[id]; h != nil {
		return h.Name
	}
	return id.String()
}

func (r *reader) department(id *model.DepartmentID) string {
	if id == nil {
		return ""
	}
	if d := r.dir.Departments[*id]; d != nil {
		return d.Name
	}
	return id.String()
}
