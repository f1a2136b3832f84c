package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// clockSkew is how far a sender's clock may be ahead.
const clockSkew = time.Minute

// mapper turns events of one source into rows.
type mapper struct {
	src        Source
	dir        *sla.Directory
	now        time.Time     // domain time at which the events came in
	maxAge     time.Duration // how old received_at may be: what is older is no feedback that came in, but a history
	subjectKey []byte
}

// row maps a normalised, checked event. What cannot be mapped is added to c's
// faults; a hospital that the source may not write to is model.ErrForbidden.
func (m mapper) row(e *Event, c *checker) (model.Feedback, error) {
	f := model.Feedback{
		SourceSystem: m.src.System, EventID: e.EventID, SourceType: e.SourceType, SourceRef: e.SourceRef,
		SubjectKey: subjectKey(m.subjectKey, e.Subject), Kind: e.Kind, Sentiment: e.Sentiment, Category: e.Category, Severity: e.Severity,
		Title: e.Title, Text: e.Text, Restricted: e.Restricted, OccurredAt: e.OccurredAt, Mode: e.Mode,
		Involved: model.Of([]model.UserID{}), Metadata: model.Of(json.RawMessage("{}")),
	}
	m.src.mark(&f)
	if f.Mode == "" {
		f.Mode = model.ModeLive
	}
	if e.Metadata != nil {
		if b, err := json.Marshal(e.Metadata); err == nil { // else it is a fault already
			f.Metadata.V = b
		}
	}
	if o := e.SourceObject; o != nil {
		f.ContentType = o.ContentType
		if id, err := uuid.Parse(o.ObjectID); err == nil {
			f.ObjectID = &model.ID[struct{}]{UUID: id}
		}
	}
	if s := e.Score; s != nil {
		f.Score, f.ScoreMin, f.ScoreMax, f.ScoreBetter, f.ScoreMetric = s.Value, s.Min, s.Max, s.Better, s.Metric
	}
	if k := e.KPI; k != nil {
		f.KPIName, f.KPIValue, f.KPITarget, f.KPIBetter = k.Name, k.Value, k.Target, k.Better
	}
	err := m.place(e, &f, c)
	m.people(e, &f, c)
	m.scale(e, &f, c)
	m.received(e, &f, c)
	return f, err
}

func (m mapper) unmapped(c *checker, field, what string) {
	c.add(field, "unmapped", what+" or alias that the directory knows for source system "+m.src.System)
}

func (m mapper) place(e *Event, f *model.Feedback, c *checker) error {
	if e.Hospital == "" || c.known["hospital"] {
		return nil
	}
	h, ok := m.dir.ResolveHospital(m.src.System, e.Hospital)
	if !ok {
		m.unmapped(c, "hospital", "a hospital's code")
		return nil
	}
	if len(m.src.Hospitals) > 0 && !slices.Contains(m.src.Hospitals, h.ID) {
		return model.ErrForbidden
	}
	f.HospitalID = h.ID.Ptr()
	if !h.Active {
		c.add("hospital", "inactive", "a hospital that is active")
	}
	if e.Department == "" || c.known["department"] {
		return nil
	}
	d, ok := m.dir.ResolveDepartment(m.src.System, h.ID, e.Department)
	if !ok {
		m.unmapped(c, "department", "a department's code in this hospital")
		return nil
	}
	f.DepartmentID = d.ID.Ptr()
	if !d.Active {
		c.add("department", "inactive", "a department that is active")
	}
	return nil
}

func (m mapper) people(e *Event, f *model.Feedback, c *checker) {
	for i, name := range e.InvolvedUsers {
		u, ok := m.dir.ResolveUser(m.src.System, name)
		if !ok {
			m.unmapped(c, fmt.Sprintf("involved_users[%d]", i), "a person's code")
			continue
		}
		if !slices.Contains(f.Involved.V, u.ID) {
			f.Involved.V = append(f.Involved.V, u.ID)
		}
	}
}

// scale checks a score against its survey's scale where the event leaves it
// out. The row keeps what was sent: the rules complete it.
func (m mapper) scale(e *Event, f *model.Feedback, c *checker) {
	var survey model.Survey
	if e.Survey != "" && !c.known["survey"] {
		s, ok := m.dir.ResolveSurvey(m.src.System, e.Survey)
		if !ok {
			m.unmapped(c, "survey", "a survey's code")
			return
		}
		f.SurveyID, survey = s.ID.Ptr(), *s
	}
	if e.Score == nil {
		return
	}
	s := *e.Score
	if s.Metric == "" {
		s.Metric = survey.Metric
	}
	if s.Min == nil {
		s.Min = survey.ScoreMin
	}
	if s.Max == nil {
		s.Max = survey.ScoreMax
	}
	if s.Better == "" {
		s.Better = survey.ScoreBetter
	}
	if s.Metric == model.MetricNPS {
		checkNPS(c, &s)
		return
	}
	const want = ", or a survey whose scale the directory knows"
	if s.Min == nil {
		c.add("score.min", "required", "the lowest score possible"+want)
	}
	if s.Max == nil {
		c.add("score.max", "required", "the highest score possible"+want)
	}
	if s.Better == "" {
		c.add("score.better", "required", "high or low: the good end of the scale"+want)
	}
	if s.Min == nil || s.Max == nil || s.Value == nil || c.known["score.max"] {
		return
	}
	if *s.Min >= *s.Max {
		c.add("score.max", "range", "greater than score.min")
		return
	}
	if *s.Value < *s.Min || *s.Value > *s.Max {
		c.add("score.value", "range", "from score.min to score.max")
	}
}

// received checks when the hospital got it. A little ahead of our clock is now.
func (m mapper) received(e *Event, f *model.Feedback, c *checker) {
	if e.ReceivedAt == nil || c.known["received_at"] {
		return
	}
	at := *e.ReceivedAt
	switch {
	case at.After(m.now.Add(clockSkew)):
		c.add("received_at", "range", "not in the future")
	case e.Mode != model.ModeHistory && at.Before(m.now.Add(-m.maxAge)):
		c.add("received_at", "range", fmt.Sprintf("at most %s ago, or mode history", sla.Age(m.maxAge)))
	case at.After(m.now):
		f.ReceivedAt = m.now.UTC().Truncate(time.Second)
	default:
		f.ReceivedAt = at.Truncate(time.Second)
	}
}

// subjectKey is the keyed hash by which feedback of one patient or visit is
// known again. It is empty without a subject, and without a key: a plain hash of
// a short number is no secret.
func subjectKey(key []byte, subject string) string {
	subject = strings.ToUpper(strings.Join(strings.Fields(subject), " "))
	if subject == "" || len(key) == 0 {
		return ""
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte(subject))
	return hex.EncodeToString(h.Sum(nil))
}
