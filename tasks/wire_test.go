package tasks

import (
	"testing"

	"github.com/pxactions/px/model"
)

// TestTheWireStaysAsItIs: while px is upgraded, one release reads the tasks of the
// other, and those of long ago wait in Redis. So a type keeps its queue and
// its payload. A field may come; whoever does not know it passes over it.
func TestTheWireStaysAsItIs(t *testing.T) {
	t.Parallel()
	const id, hex = "0198c1de-2b7e-7c3a-9d5f-000000000001", "0198c1de2b7e7c3a9d5f000000000001"
	action, err := model.ParseID[model.Action](id)
	if err != nil {
		t.Fatal(err)
	}
	message, feedback := model.MessageID(action), model.FeedbackID(action)
	arm := func(kind model.EventKind) job { return Arm{ActionID: action, Kind: kind, Stage: 1, Gen: 3}.job() }
	const deadline = `{"action":"` + id + `","gen":3}`
	for want, got := range map[[4]string]job{
		{"intake", "action:create", `{"feedback":["` + id + `"]}`, "create." + hex + ".n1.1acdd37d8e1133e3"}: createJob([]model.FeedbackID{feedback}),
		{"reminder", "sla:reminder", deadline, "reminder1." + hex + ".g3"}:                                   arm(model.EventReminder),
		{"escalation", "sla:overdue", deadline, "overdue." + hex + ".g3"}:                                    arm(model.EventOverdue),
		{"escalation", "sla:escalation", deadline, "escalation1." + hex + ".g3"}:                             arm(model.EventEscalation),
		{"escalation", "sla:ack", deadline, "ack1." + hex + ".g3"}:                                           arm(model.EventAck),
		{"escalation", "sla:resume", deadline, "resume1." + hex + ".g3"}:                                     arm(model.EventResume),
		{"reminder", "sla:approval", deadline, "approvalreminder1." + hex + ".g3"}:                           arm(model.EventApprovalReminder),
		{"escalation", "sla:approval", deadline, "approvaloverdue1." + hex + ".g3"}:                          arm(model.EventApprovalOverdue),
		{"message", "message:send", `{"message":"` + id + `","attempt":2}`, "message." + hex + ".a2"}:        Send{MessageID: message, Attempt: 2}.job(),
	} {
		if is := [4]string{got.queue, got.task.Type(), string(got.task.Payload()), got.id}; is != want {
			t.Errorf("the task is %q, and to other releases %q", is, want)
		}
	}
	if p, err := Decode[DeadlinePayload](TypeOverdue, []byte(`{"action":"`+id+`","gen":3,"of":"a later release"}`)); err != nil || p.Action != action || p.Gen != 3 {
		t.Errorf("a payload with a field more is read as %+v, %v", p, err)
	}
}
