package sampledata_test

import (
	"slices"
	"strconv"
	"time"

	"github.com/pxactions/px/model"
)

// lastReceipt is the newest moment of the sample: what is received later lies
// in the future for whoever replays it.
func lastReceipt() time.Time { return time.Date(2026, 3, 6, 0, 0, 0, 0, time.UTC) }

// keys are the top-level keys of the wire format.
func keys() []string {
	return []string{
		"event_id", "source_type", "source_ref", "source_object", "subject", "hospital", "department", "survey",
		"kind", "score", "sentiment", "kpi", "category", "severity", "title", "text", "involved_users", "restricted",
		"occurred_at", "received_at", "mode", "metadata",
	}
}

// scales are the scales of the surveys, by code.
func scales() map[string][2]float64 {
	return map[string][2]float64{"INPATIENT-2026": {1, 5}, "NPS-DISCHARGE": {0, 10}, "ED-EXIT": {0, 100}, "PAIN": {0, 10}}
}

// faultsOf lists the wrong fields of an event; false when it is no JSON object.
func faultsOf(e map[string]any, ns names) ([]string, bool) {
	if e == nil {
		return nil, false
	}
	var faults []string
	fault := func(field string, wrong bool) {
		if wrong && !slices.Contains(faults, field) {
			faults = append(faults, field)
		}
	}
	for key := range e {
		fault(key, !slices.Contains(keys(), key))
	}
	fault("event_id", str(e, "event_id") == "")
	fault("source_type", !model.Valid(model.SourceType(str(e, "source_type")), model.SourceTypes()))
	fault("hospital", ns.Hospitals[str(e, "hospital")] == "")
	fault("department", unknownName(ns.Departments, str(e, "department")))
	fault("survey", unknownName(ns.Surveys, str(e, "survey")))
	fault("kind", unknownWord(str(e, "kind"), model.FeedbackKinds()))
	fault("category", unknownWord(str(e, "category"), model.Categories()))
	fault("severity", unknownWord(str(e, "severity"), model.Severities()))
	fault("mode", unknownWord(str(e, "mode"), []model.Mode{model.ModeLive, model.ModeHistory, model.ModeShadow}))
	users, _ := e["involved_users"].([]any)
	for _, u := range users {
		name, _ := u.(string)
		fault("involved_users", ns.Users[name] == "")
	}
	scoreFaults(e, ns, fault)
	if v, sent, ok := number(e, "sentiment"); sent {
		fault("sentiment", !ok || v < -1 || v > 1)
	}
	kpiFaults(e, fault)
	timeFaults(e, fault)
	return faults, true
}

func scoreFaults(e map[string]any, ns names, fault func(string, bool)) {
	score, _ := e["score"].(map[string]any)
	value, sent, ok := number(score, "value")
	if !sent {
		return
	}
	fault("score.value", !ok)
	lo, hasLo, okLo := number(score, "min")
	hi, hasHi, okHi := number(score, "max")
	better := str(score, "better")
	fault("score.better", unknownWord(better, []model.Better{model.BetterHigh, model.BetterLow}))
	if s, known := scales()[ns.Surveys[str(e, "survey")]]; known {
		lo, hasLo, okLo, hi, hasHi, okHi, better = s[0], true, true, s[1], true, true, "known"
	}
	fault("score.min", !hasLo || !okLo)
	fault("score.max", !hasHi || !okHi)
	fault("score.better", better == "")
	fault("score.value", okLo && okHi && (value < lo || value > hi))
}

func kpiFaults(e map[string]any, fault func(string, bool)) {
	kpi, sent := e["kpi"].(map[string]any)
	if !sent {
		return
	}
	_, _, ok := number(kpi, "value")
	fault("kpi.value", !ok)
	target, _, ok := number(kpi, "target")
	fault("kpi.target", !ok || target == 0)
	fault("kpi.better", !model.Valid(model.Better(str(kpi, "better")), []model.Better{model.BetterHigh, model.BetterLow}))
}

func timeFaults(e map[string]any, fault func(string, bool)) {
	occurred, okOccurred := instant(e, "occurred_at")
	received, okReceived := instant(e, "received_at")
	fault("occurred_at", str(e, "occurred_at") != "" && !okOccurred)
	fault("received_at", str(e, "received_at") != "" && !okReceived)
	fault("received_at", okReceived && received.After(lastReceipt()))
	fault("received_at", okReceived && okOccurred && received.Before(occurred))
}

func unknownName(known map[string]string, name string) bool { return name != "" && known[name] == "" }

func unknownWord[T ~string](word string, all []T) bool {
	return word != "" && !model.Valid(T(word), all)
}

func str(e map[string]any, key string) string {
	s, _ := e[key].(string)
	return s
}

// number reads a number or a numeric string; sent is false where there is none.
func number(e map[string]any, key string) (v float64, sent, ok bool) {
	switch x := e[key].(type) {
	case float64:
		return x, true, true
	case string:
		if x == "" {
			return 0, false, false
		}
		v, err := strconv.ParseFloat(x, 64)
		// NaN is text to us: no sender can mean it.
		return v, true, err == nil && v == v
	default:
		return 0, false, false
	}
}

func instant(e map[string]any, key string) (time.Time, bool) {
	at, err := time.Parse(time.RFC3339, str(e, key))
	return at, err == nil
}
