package web

import (
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pxactions/px/model"
)

// queryReader reads a request's query and gathers what is wrong in it. What names
// nothing is a fault, so that nobody takes the wrong list for an empty one.
type queryReader struct {
	c      *call
	values url.Values
	faults model.FieldErrors
}

// newQuery begins to read a query that has no other names than these.
func newQuery(c *call, names ...string) *queryReader {
	q := &queryReader{c: c}
	var err error
	if q.values, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
		q.faults.Add("query", "format", "name=value pairs, percent-encoded")
	}
	for name := range q.values {
		if !slices.Contains(names, name) {
			q.faults.Add(model.FieldName(name), "unknown", "one of "+strings.Join(names, ", "))
		}
	}
	return q
}

func (q *queryReader) text(name string) string {
	v := strings.TrimSpace(q.values.Get(name))
	if strings.ContainsRune(v, 0) || !utf8.ValidString(v) {
		q.faults.Add(name, "encoding", "UTF-8 text without NUL characters")
		return ""
	}
	return v
}

func (q *queryReader) flag(name string) bool {
	v := q.text(name)
	if v != "" && v != "true" && v != "false" {
		q.faults.Add(name, "type", "true or false")
	}
	return v == "true"
}

func (q *queryReader) number(name string, least, most int) int {
	v := q.text(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		q.faults.Add(name, "range", "a whole number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
	}
	return n
}

func (q *queryReader) instant(name string) time.Time {
	v := q.text(name)
	if v == "" {
		return time.Time{}
	}
	// A + that was not encoded has come as a blank.
	at, err := time.Parse(time.RFC3339, strings.Replace(v, " ", "+", 1))
	if err != nil || !storable(at) {
		q.faults.Add(name, "format", "an instant with its offset, such as 2026-03-02T15:04:00Z")
	}
	return at
}

// storable reports whether an instant is one that the database and JSON can hold,
// with room around it for what is reckoned from it.
func storable(at time.Time) bool { return at.Year() >= 1900 && at.Year() < 9000 }

// oneOf reads words, given several times or with commas between them.
func oneOf[T ~string](q *queryReader, name string, all []T) []T {
	var out []T
	for _, v := range q.values[name] {
		for word := range strings.SplitSeq(v, ",") {
			switch w := T(strings.TrimSpace(word)); {
			case w == "":
			case !slices.Contains(all, w):
				q.faults.Add(name, "unknown", "of "+words(all))
				return nil
			case !slices.Contains(out, w):
				out = append(out, w)
			}
		}
	}
	return out
}

func (q *queryReader) hospital(name string) model.HospitalID {
	code := q.text(name)
	if code == "" {
		return model.HospitalID{}
	}
	h, ok := q.c.Dir.ResolveHospital("", code)
	if !ok {
		q.faults.Add(name, "unknown", "the code of a hospital")
		return model.HospitalID{}
	}
	return h.ID
}

// department reads a code in a hospital, or hospital code / department code.
func (q *queryReader) department(name string, hospital model.HospitalID) model.DepartmentID {
	code := q.text(name)
	if code == "" {
		return model.DepartmentID{}
	}
	if place, dep, ok := strings.Cut(code, "/"); ok {
		code = dep
		if h, found := q.c.Dir.ResolveHospital("", place); found {
			hospital = h.ID
		}
	}
	d, ok := q.c.Dir.ResolveDepartment("", hospital, code)
	if !ok {
		q.faults.Add(name, "unknown", "hospital code / department code, such as RUH/ED")
		return model.DepartmentID{}
	}
	return d.ID
}

func (q *queryReader) user(name string) model.UserID {
	if code := q.text(name); code != "" {
		return q.c.person(name, code, &q.faults)
	}
	return model.UserID{}
}

// namesOf are the names of the parameters that a struct describes.
func namesOf[T any]() []string {
	t := reflect.TypeFor[T]()
	var names []string
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("query"); name != "" {
			names = append(names, name)
		}
	}
	return names
}
