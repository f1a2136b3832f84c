package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
)

// maxBody is how long a body of JSON may be, in bytes.
const maxBody = 256 << 10

// readBody reads a request's JSON object into v, a pointer to a struct, and
// returns the bytes that it was. Unknown members, and such of the wrong type, are
// model.FieldErrors that name them. No body at all stands for an empty object.
func (c *call) readBody(v any) ([]byte, error) {
	raw, err := c.readRaw(maxBody)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return []byte("{}"), nil
	}
	if err := jsonOnly(c.r); err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return nil, unreadable(err)
	}
	var faults model.FieldErrors
	decode("", members, reflect.ValueOf(v).Elem(), &faults)
	return raw, faults.Err()
}

// readRaw reads a request's body of at most so many bytes. How long that took
// does not count against the database.
func (c *call) readRaw(most int64) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, most))
	var max *http.MaxBytesError
	switch {
	case errors.As(err, &max):
		return nil, &badRequest{status: http.StatusRequestEntityTooLarge, code: problem.TooLarge, title: "The request is too large", detail: fmt.Sprintf("at most %d bytes", most)}
	case err != nil:
		return nil, &badRequest{status: http.StatusBadRequest, code: problem.Truncated, title: "The request did not arrive whole"}
	}
	c.within(answerTime)
	return raw, nil
}

func unreadable(err error) error {
	bad := &badRequest{status: http.StatusBadRequest, code: problem.Unreadable, title: "The request cannot be read", detail: "a JSON object is expected"}
	var se *json.SyntaxError
	if errors.As(err, &se) {
		bad.detail, bad.offset = "not JSON", &se.Offset
	}
	return bad
}

func jsonOnly(r *http.Request) error {
	t, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || t != problem.JSONType || charset != "" && !strings.EqualFold(charset, "utf-8") || r.Header.Get("Content-Encoding") != "" {
		return &badRequest{
			status: http.StatusUnsupportedMediaType, code: problem.MediaType, title: "The request is of a type that is not read here",
			detail: "Content-Type: application/json, in UTF-8 and not compressed",
		}
	}
	return nil
}

// decode fills a struct from the members of an object, field by field, so that
// every fault is named. null and absent are the same.
func decode(path string, members map[string]json.RawMessage, to reflect.Value, faults *model.FieldErrors) {
	for i := range to.NumField() {
		f := to.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		raw, ok := members[name]
		delete(members, name)
		if !ok || string(raw) == "null" {
			continue
		}
		decodeField(path+name, raw, to.Field(i), faults)
		most, err := strconv.Atoi(f.Tag.Get("maxLength"))
		if err == nil && to.Field(i).Kind() == reflect.String && utf8.RuneCountInString(to.Field(i).String()) > most {
			faults.Add(path+name, "length", fmt.Sprintf("at most %d characters", most))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		faults.Add(path+model.FieldName(name), "unknown", "a field that this request has")
	}
}

func decodeField(path string, raw json.RawMessage, to reflect.Value, faults *model.FieldErrors) {
	if p, ok := to.Addr().Interface().(**informed); ok {
		*p = &informed{}
		var inner map[string]json.RawMessage
		if json.Unmarshal(raw, &inner) != nil || inner == nil {
			faults.Add(path, "type", "an object")
			return
		}
		decode(path+".", inner, reflect.ValueOf(*p).Elem(), faults)
		return
	}
	if json.Unmarshal(raw, to.Addr().Interface()) == nil {
		if at, ok := to.Interface().(*time.Time); ok && !storable(*at) {
			faults.Add(path, "range", "an instant of these centuries")
		}
		return
	}
	want := "text"
	switch to.Interface().(type) {
	case *time.Time:
		want = "an instant with its offset, such as 2026-03-02T15:04:00+03:00"
	case map[string]any:
		want = "an object"
	case bool:
		want = "true or false"
	case []string:
		want = "a list of texts"
	}
	faults.Add(path, "type", want)
}
