package producer_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// badEvent is an event and its faults, as field:code.
type badEvent struct {
	name, event string
	want        []string
}

// badNames are faults of names, places and people.
func badNames() []badEvent {
	return []badEvent{
		{"an empty object", `{}`, []string{"event_id:required", "source_type:required", "hospital:required"}},
		{"an unknown key", complaint("x", `"hospitl":"RUH"`), []string{"hospitl:unknown"}},
		{"an unknown key inside", complaint("x", `"score":{"value":1,"min":0,"max":2,"better":"high","unit":"x"}`), []string{"score.unit:unknown"}},
		{"a key that is no name is not quoted", complaint("x", `"John Smith":1`), []string{"(a key that is not a name):unknown"}},
		{"a key given twice", complaint("x", `"title":"a","title":"b"`), []string{"title:duplicate"}},
		{"an event id that is a number", `{"event_id":1,"source_type":"complaint","hospital":"RUH"}`, []string{"event_id:type"}},
		{"an event id too long", complaint(strings.Repeat("x", 201)), []string{"event_id:length"}},
		{"our own mark as event id", complaint("sha256:aa"), []string{"event_id:format"}},
		{"a source type that is none", `{"event_id":"x","source_type":"Survey","hospital":"RUH"}`, []string{"source_type:enum"}},
		{"enums that are none", complaint("x", `"kind":"rant","category":"food","severity":"severe","mode":"test"`), []string{"kind:enum", "category:enum", "severity:enum", "mode:enum"}},
		{"an unknown hospital", `{"event_id":"x","source_type":"complaint","hospital":"NOPE"}`, []string{"hospital:unmapped"}},
		{"a closed hospital", `{"event_id":"x","source_type":"complaint","hospital":"OLD"}`, []string{"hospital:inactive"}},
		{"another source's alias is none here", `{"event_id":"x","source_type":"complaint","hospital":"RUH","department":"er"}`, []string{"department:unmapped"}},
		{"a department of another hospital", `{"event_id":"x","source_type":"complaint","hospital":"JED","department":"ED"}`, []string{"department:unmapped"}},
		{"unknown people and survey", complaint("x", `"survey":"S","involved_users":["u-1","u-2"]`), []string{"survey:unmapped", "involved_users[1]:unmapped"}},
	}
}

// badValues are faults of what feedback is judged by.
func badValues() []badEvent {
	return []badEvent{
		{"a survey without score or kind", `{"event_id":"x","source_type":"survey","hospital":"RUH"}`, []string{"score.value:required"}},
		{"a score without its scale", complaint("x", `"score":{"value":1}`), []string{"score.min:required", "score.max:required", "score.better:required"}},
		{"a score above its scale", complaint("x", `"score":{"value":6,"min":1,"max":5,"better":"high"}`), []string{"score.value:range"}},
		{"a score above the survey's scale", complaint("x", `"survey":"INPATIENT","score":{"value":6}`), []string{"score.value:range"}},
		{"a scale of one point", complaint("x", `"score":{"value":1,"min":1,"max":1,"better":"high"}`), []string{"score.max:range"}},
		{"a scale upside down", complaint("x", `"score":{"value":1,"min":5,"max":1,"better":"high"}`), []string{"score.max:range"}},
		{"a better end that is none", complaint("x", `"score":{"value":1,"min":1,"max":5,"better":"up"}`), []string{"score.better:enum"}},
		{"a score that is no number", complaint("x", `"score":{"value":"two","min":"1,5","max":"0x5","better":"high"}`), []string{"score.value:type", "score.min:type", "score.max:type"}},
		{"a score beyond all numbers", complaint("x", `"score":{"value":1e999,"min":1,"max":5,"better":"high"}`), []string{"score.value:type"}},
		{"nps above 10", complaint("x", `"score":{"value":11,"metric":"nps"}`), []string{"score.value:range"}},
		{"nps in halves, by its survey", complaint("x", `"survey":"NPS","score":{"value":6.5}`), []string{"score.value:range"}},
		{"nps on a scale of 5", complaint("x", `"score":{"value":3,"max":5,"metric":"nps"}`), []string{"score.max:range"}},
		{"a sentiment of 2", complaint("x", `"sentiment":2`), []string{"sentiment:range"}},
		{"social media without sentiment", `{"event_id":"x","source_type":"social_media","hospital":"RUH"}`, []string{"sentiment:required"}},
		{"a KPI without anything", `{"event_id":"x","source_type":"kpi","hospital":"RUH"}`, []string{"kpi.value:required", "kpi.target:required", "kpi.better:required"}},
		{"a KPI with target 0", complaint("x", `"kpi":{"value":1,"target":0,"better":"low"}`), []string{"kpi.target:range"}},
	}
}

// badRest are faults of times, words and everything else.
func badRest(w *world) []badEvent {
	return []badEvent{
		{"an instant without offset", complaint("x", `"occurred_at":"2026-03-02T08:00:00"`), []string{"occurred_at:format"}},
		{"an instant before all clocks", complaint("x", `"occurred_at":"0000-01-01T00:00:00Z"`), []string{"occurred_at:range"}},
		{"received in the future", complaint("x", `"received_at":"`+w.now(2*time.Minute)+`"`), []string{"received_at:range"}},
		{"received too long ago", complaint("x", `"received_at":"`+w.now(-7*24*time.Hour-time.Minute)+`"`), []string{"received_at:range"}},
		{"a title too long", complaint("x", `"title":"`+strings.Repeat("ب", 501)+`"`), []string{"title:length"}},
		{"a text too long", complaint("x", `"text":"`+strings.Repeat("x", 20_001)+`"`), []string{"text:length"}},
		{"NUL in the text", complaint("x", `"text":"a\u0000b"`), []string{"text:nul"}},
		{"a text that is not UTF-8", complaint("x", "\"text\":\"caf\xe9\""), []string{"text:encoding"}},
		{"half of a surrogate pair", complaint("x", `"title":"\ud800"`), []string{"title:encoding"}},
		{"an id that is not UTF-8", complaint("x\xff"), []string{"event_id:encoding"}},
		{"metadata that is not UTF-8", complaint("x", "\"metadata\":{\"a\":[\"\xff\"]}"), []string{"metadata:encoding"}},
		{"NUL in the metadata", complaint("x", `"metadata":{"a":[{"b\u0000":1}]}`), []string{"metadata:nul"}},
		{"metadata too long", complaint("x", `"metadata":{"a":"`+strings.Repeat("x", 16<<10)+`"}`), []string{"metadata:length"}},
		{"metadata too deep", complaint("x", `"metadata":{"a":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`), []string{"metadata:range"}},
		{"metadata with a number beyond all", complaint("x", `"metadata":{"a":1e999999}`), []string{"metadata:range"}},
		{"metadata that is a list", complaint("x", `"metadata":[]`), []string{"metadata:type"}},
		{"a source object of anything", complaint("x", `"source_object":{"content_type":"survey","object_id":"7"}`), []string{"source_object.content_type:format", "source_object.object_id:format"}},
		{"a flag that is none", complaint("x", `"restricted":"ja"`), []string{"restricted:type"}},
		{"people that are no list", complaint("x", `"involved_users":"u-1"`), []string{"involved_users:type"}},
		{"everything at once, in order", `{"zzz":1,"hospital":"NOPE","score":{"value":"x","metric":"score"},"source_type":"?"}`,
			[]string{"event_id:required", "source_type:enum", "hospital:unmapped", "score.value:type", "score.min:required", "score.max:required", "score.better:required", "zzz:unknown"}},
	}
}

func TestBadEventsAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key := w.key()
	t.Run("each alone", func(t *testing.T) {
		for _, tt := range slices.Concat(badNames(), badValues(), badRest(w)) {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				r := w.post(key, tt.event)
				require.Equal(t, http.StatusUnprocessableEntity, r.status, "%s", r.body)
				p := r.problem(t)
				assert.Equal(t, "invalid-event", p.Code)
				assert.Equal(t, "urn:px:problem:invalid-event", p.Type)
				var got []string
				for _, e := range p.Errors {
					got = append(got, e.Field+":"+e.Code)
					assert.NotEmpty(t, e.Message)
				}
				assert.Equal(t, tt.want, got)
			})
		}
	})
	assert.Zero(t, w.count(), "rows of refused events")
}
