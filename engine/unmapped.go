package engine

import (
	"fmt"
	"strings"

	"github.com/pxactions/px/model"
)

// UnmappedName is a name that the directory did not know when feedback came in.
type UnmappedName struct{ Field, Name string }

// UnmappedNames reads from a quarantined feedback the names of places, surveys
// and staff that its reason tells of, for an operator who is to add an alias.
// They are the source system's names, never a patient's words; nothing else of
// what was sent is told. None: nil.
func UnmappedNames(f *model.Feedback) []UnmappedName {
	_, fields, ok := strings.Cut(f.Reason, ":")
	if f.Decision != model.DecisionQuarantined || f.Raw == nil || !ok {
		return nil
	}
	e, _, err := ParseEvent(keptRaw(*f.Raw))
	if err != nil {
		return nil
	}
	e.normalise()
	sent := map[string]string{"hospital": e.Hospital, "department": e.Department, "survey": e.Survey}
	for i, u := range e.InvolvedUsers {
		sent[fmt.Sprintf("involved_users[%d]", i)] = u
	}
	var names []UnmappedName
	for field := range strings.SplitSeq(fields, ",") {
		if name := sent[field]; name != "" {
			names = append(names, UnmappedName{field, name})
		}
	}
	return names
}
