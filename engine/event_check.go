package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/pxactions/px/model"
)

const (
	maxName     = 200
	maxTitle    = 500
	maxText     = 20_000
	maxInvolved = 50
	maxMetadata = 16 << 10
	maxDepth    = 32

	// rawMark begins the event id of what has none; senders may not use it.
	rawMark = "sha256:"
)

// checker gathers what is wrong with an event's values. A field that has a
// fault already gets no second one.
type checker struct {
	faults model.FieldErrors
	known  map[string]bool
}

func newChecker(faults model.FieldErrors) *checker {
	c := &checker{known: map[string]bool{}}
	for _, f := range faults {
		c.add(f.Field, f.Code, f.Want)
	}
	return c
}

func (c *checker) add(field, code, want string) {
	if !c.known[field] {
		c.known[field] = true
		c.faults.Add(field, code, want)
	}
}

// sorted returns the faults in the order of the wire format.
func (c *checker) sorted() model.FieldErrors {
	order := fieldOrder()
	place := func(f *model.FieldError) int {
		name, _, _ := strings.Cut(f.Field, ".")
		name, _, _ = strings.Cut(name, "[")
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(c.faults, func(a, b *model.FieldError) int { return place(a) - place(b) })
	return c.faults
}

// check finds every fault of a normalised event that shows without the
// directory and the clock.
func (e *Event) check(c *checker) {
	c.name("event_id", e.EventID, true)
	if strings.HasPrefix(e.EventID, rawMark) {
		c.add("event_id", "format", "an id of your own: "+rawMark+" is the intake's mark for events that have none")
	}
	c.enum("source_type", string(e.SourceType), words(model.SourceTypes()), true)
	c.name("source_ref", e.SourceRef, false)
	e.checkObject(c)
	c.name("subject", e.Subject, false)
	c.name("hospital", e.Hospital, true)
	c.name("department", e.Department, false)
	c.name("survey", e.Survey, false)
	c.enum("kind", string(e.Kind), words(model.FeedbackKinds()), false)
	e.checkScore(c)
	e.checkSentiment(c)
	e.checkKPI(c)
	c.enum("category", string(e.Category), words(model.Categories()), false)
	c.enum("severity", string(e.Severity), words(model.Severities()), false)
	c.words("title", e.Title, maxTitle)
	c.words("text", e.Text, maxText)
	if len(e.InvolvedUsers) > maxInvolved {
		c.add("involved_users", "length", fmt.Sprintf("at most %d people", maxInvolved))
	}
	for i, u := range e.InvolvedUsers {
		c.name(fmt.Sprintf("involved_users[%d]", i), u, false)
	}
	c.year("occurred_at", e.OccurredAt)
	c.year("received_at", e.ReceivedAt)
	c.enum("mode", string(e.Mode), []string{string(model.ModeLive), string(model.ModeHistory), string(model.ModeShadow)}, false)
	c.metadata(e.Metadata)
}

func words[T ~string](vs []T) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = string(v)
	}
	return out
}

// clean finds what PostgreSQL cannot hold.
func (c *checker) clean(field, s string) bool {
	if strings.ContainsRune(s, 0) {
		c.add(field, "nul", "text without NUL characters")
		return false
	}
	if !utf8.ValidString(s) {
		c.add(field, "encoding", wantText)
		return false
	}
	return true
}

func (c *checker) name(field, s string, required bool) {
	switch {
	case s == "" && required:
		c.add(field, "required", "a value")
	case utf8.RuneCountInString(s) > maxName:
		c.add(field, "length", fmt.Sprintf("at most %d characters", maxName))
	default:
		c.clean(field, s)
	}
}

func (c *checker) words(field, s string, most int) {
	if utf8.RuneCountInString(s) > most {
		c.add(field, "length", fmt.Sprintf("at most %d characters", most))
		return
	}
	c.clean(field, s)
}

func (c *checker) enum(field, s string, all []string, required bool) {
	switch {
	case s == "" && required:
		c.add(field, "required", "one of "+strings.Join(all, ", "))
	case s != "" && !slices.Contains(all, s):
		c.add(field, "enum", "one of "+strings.Join(all, ", "))
	}
}

func (c *checker) number(field string, f *float64, required bool) bool {
	switch {
	case f == nil && required:
		c.add(field, "required", "a number")
	case f != nil && (math.IsNaN(*f) || math.IsInf(*f, 0)):
		c.add(field, "type", "a finite number")
	}
	return f != nil && !c.known[field]
}

// year keeps out what no clock meant and the database cannot hold.
func (c *checker) year(field string, t *time.Time) {
	if t != nil && (t.Year() < 1900 || t.Year() > 9999) {
		c.add(field, "range", "a year from 1900 to 9999")
	}
}

// contentType is the sender's app and model.
var contentType = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,99}\.[A-Za-z][A-Za-z0-9_]{0,99}$`)

func (e *Event) checkObject(c *checker) {
	o := e.SourceObject
	if o == nil {
		return
	}
	if !contentType.MatchString(o.ContentType) {
		c.add("source_object.content_type", "format", "app.model, such as surveys.response")
	}
	if id, err := uuid.Parse(o.ObjectID); err != nil || len(o.ObjectID) != 36 || id == uuid.Nil {
		c.add("source_object.object_id", "format", "a UUID in its form of 36 characters")
	}
}

// byKind reports whether what the sender calls the feedback says enough to
// decide it without a value.
func (e *Event) byKind() bool {
	switch e.Kind {
	case model.KindComplaint, model.KindPraise, model.KindSuggestion, model.KindQuestion:
		return true
	default:
		return false
	}
}

func (e *Event) checkScore(c *checker) {
	s := e.Score
	if s == nil {
		scored := e.SourceType == model.SourceSurvey || e.SourceType == model.SourceComplaintResolution || e.SourceType == model.SourceCallCenter
		if scored && !e.byKind() {
			c.add("score.value", "required", "a number, or a kind of complaint, praise, suggestion or question")
		}
		return
	}
	value := c.number("score.value", s.Value, true)
	lo, hi := c.number("score.min", s.Min, false), c.number("score.max", s.Max, false)
	c.enum("score.better", string(s.Better), []string{"high", "low"}, false)
	c.enum("score.metric", string(s.Metric), []string{"score", "nps"}, false)
	if lo && hi && *s.Min >= *s.Max {
		c.add("score.max", "range", "greater than score.min")
	}
	if value && !c.known["score.max"] && (lo && *s.Value < *s.Min || hi && *s.Value > *s.Max) {
		c.add("score.value", "range", "from score.min to score.max")
	}
	if s.Metric == model.MetricNPS {
		checkNPS(c, s)
	}
}

func checkNPS(c *checker, s *Score) {
	if s.Min != nil && *s.Min != 0 {
		c.add("score.min", "range", "0, or absent, for nps")
	}
	if s.Max != nil && *s.Max != 10 {
		c.add("score.max", "range", "10, or absent, for nps")
	}
	if s.Better == model.BetterLow {
		c.add("score.better", "range", "high, or absent, for nps")
	}
	if s.Value != nil && (*s.Value < 0 || *s.Value > 10 || *s.Value != math.Trunc(*s.Value)) {
		c.add("score.value", "range", "a whole number from 0 to 10 for nps")
	}
}

func (e *Event) checkSentiment(c *checker) {
	switch {
	case e.Sentiment == nil:
		if e.SourceType == model.SourceSocialMedia && !e.byKind() {
			c.add("sentiment", "required", "a number from -1 to 1, or a kind of complaint, praise, suggestion or question")
		}
	case !(*e.Sentiment >= -1 && *e.Sentiment <= 1):
		c.add("sentiment", "range", "a number from -1 to 1")
	}
}

func (e *Event) checkKPI(c *checker) {
	k := e.KPI
	if k == nil {
		if e.SourceType == model.SourceKPI {
			c.add("kpi.value", "required", "a number")
			c.add("kpi.target", "required", "a number, not 0")
			c.enum("kpi.better", "", []string{"high", "low"}, true)
		}
		return
	}
	c.name("kpi.name", k.Name, false)
	c.number("kpi.value", k.Value, true)
	if c.number("kpi.target", k.Target, true) && *k.Target == 0 {
		c.add("kpi.target", "range", "not 0: a distance from 0 has no per cent")
	}
	c.enum("kpi.better", string(k.Better), []string{"high", "low"}, true)
}

func (c *checker) metadata(m map[string]any) {
	if m == nil {
		return
	}
	b, err := json.Marshal(m)
	switch {
	case err != nil:
		c.add("metadata", "type", "an object that can be written as JSON")
	case len(b) > maxMetadata:
		c.add("metadata", "length", fmt.Sprintf("at most %d bytes of JSON", maxMetadata))
	default:
		c.inside(m, 0)
	}
}

// inside looks for what a jsonb column cannot hold, however deep: v is in so many
// objects and lists.
func (c *checker) inside(v any, depth int) {
	if depth > maxDepth {
		c.add("metadata", "range", fmt.Sprintf("at most %d levels deep", maxDepth))
		return
	}
	switch v := v.(type) {
	case string:
		c.clean("metadata", v)
	case json.Number:
		if _, err := decimal(string(v)); err != nil {
			c.add("metadata", "range", "numbers that fit a double")
		}
	case []any:
		for _, one := range v {
			c.inside(one, depth+1)
		}
	case map[string]any:
		for k, one := range v {
			c.clean("metadata", k)
			c.inside(one, depth+1)
		}
	}
}
