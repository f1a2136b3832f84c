package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// schema is the part of JSON Schema that the policy's makes use of.
type schema struct {
	Ref         string            `json:"$ref"`
	Type        string            `json:"type"`
	Title       string            `json:"title"` // the form of a value, with its unit; of a mapping: by what
	Description string            `json:"description"`
	Examples    []json.RawMessage `json:"examples"`

	Enum             []string `json:"enum"`
	Minimum          *float64 `json:"minimum"`
	ExclusiveMinimum *float64 `json:"exclusiveMinimum"`
	Maximum          *float64 `json:"maximum"`

	Items             *schema   `json:"items"`
	AnyOf             []*schema `json:"anyOf"` // a value, or a list of them
	Properties        members   `json:"properties"`
	PatternProperties members   `json:"patternProperties"`
	Required          []string  `json:"required"`

	Defs map[string]*schema `json:"$defs"`
}

// members are the keys of an object, in their order.
type members []member

type member struct {
	key string
	*schema
}

// UnmarshalJSON implements json.Unmarshaler.
func (ms *members) UnmarshalJSON(src []byte) error {
	dec := json.NewDecoder(bytes.NewReader(src))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		m := member{key: fmt.Sprint(key), schema: &schema{}}
		if err := dec.Decode(m.schema); err != nil {
			return err
		}
		*ms = append(*ms, m)
	}
	return nil
}

// keyed are the values of a mapping by something; nil for anything else.
func (s *schema) keyed() *schema {
	if !strings.HasPrefix(s.Title, "by ") {
		return nil
	}
	for _, ms := range []members{s.Properties, s.PatternProperties} {
		if len(ms) > 0 {
			return ms[0].schema
		}
	}
	return nil
}

// object is the name of the object that a value is, or that it is a list or
// mapping of, and what stands behind a key on the way to it: [], .<severity>[].
func (s *schema) object() (name, way string) {
	switch value := s.keyed(); {
	case s.Ref != "":
		return strings.TrimPrefix(s.Ref, "#/$defs/"), ""
	case s.Items != nil:
		name, way = s.Items.object()
		return name, "[]" + way
	case value != nil:
		name, way = value.object()
		return name, ".<" + strings.TrimPrefix(s.Title, "by ") + ">" + way
	default:
		return "", ""
	}
}
