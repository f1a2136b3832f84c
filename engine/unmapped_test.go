package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/pxactions/px/model"
)

func TestUnmappedNamesAreThoseOfTheReason(t *testing.T) {
	t.Parallel()
	raw := `{"event_id":"1","hospital":" SITE-9 ","department":"er","survey":"S","involved_users":["u-1","","u-2"],"title":"words","text":"words"}`
	tests := []struct {
		name, reason, raw string
		decision          model.Decision
		want              []UnmappedName
	}{
		{"a hospital", "unmapped:hospital", raw, model.DecisionQuarantined, []UnmappedName{{"hospital", "SITE-9"}}},
		{"several", "unmapped:department,survey,involved_users[1]", raw, model.DecisionQuarantined,
			[]UnmappedName{{"department", "er"}, {"survey", "S"}, {"involved_users[1]", "u-2"}}},
		{"beside another fault", "invalid:department,title", raw, model.DecisionQuarantined, []UnmappedName{{"department", "er"}}},
		{"words are never told", "invalid:title,text", raw, model.DecisionQuarantined, nil},
		{"nothing that can be read", "unmapped:hospital", "{", model.DecisionQuarantined, nil},
		{"its decision failed", "failed", raw, model.DecisionQuarantined, nil},
		{"decided", "unmapped:hospital", raw, model.DecisionIgnored, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, UnmappedNames(&model.Feedback{Decision: tt.decision, Reason: tt.reason, Raw: &tt.raw}))
		})
	}
	assert.Nil(t, UnmappedNames(&model.Feedback{Decision: model.DecisionQuarantined, Reason: "unmapped:hospital"}))
}
