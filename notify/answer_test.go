package notify

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pxactions/px/internal/receiver"
	"github.com/pxactions/px/model"
)

// TestWhatAReceiverSaysStandsInNoError: it may say anything, words of a patient too.
func TestWhatAReceiverSaysStandsInNoError(t *testing.T) {
	t.Parallel()
	const words = "Xylophonewhisper"
	mails, hook := startSMTP(t, receiver.SMTPOptions{}), startWebhook(t)
	byMail, byHook := emailTo(t, mails, nil), newRouter(t, Settings{Webhook: local()})
	for _, status := range []int{421, 451, 530, 550, 554} {
		for _, at := range []string{"MAIL", "RCPT", "DATA"} {
			mails.Next(receiver.Fault{Status: status, At: at, Say: "she said " + words})
			_, err := sendEmail(t, byMail, sample(model.ReasonOverdue))
			saysNot(t, err, words)
		}
	}
	for _, status := range []int{302, 400, 404, 410, 429, 500, 503} {
		hook.Next(receiver.Fault{Status: status, Say: words, Header: map[string]string{"Location": "http://" + words, "Retry-After": words, "X-Why": words}})
		_, err := sendHook(t, byHook, hookLetter(hook))
		saysNot(t, err, words)
	}
}

func saysNot(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || strings.Contains(strings.ToLower(fmt.Sprintf("%v %+v %#v", err, err, err)), strings.ToLower(words)) {
		t.Errorf("error %v, want one without %s", err, words)
	}
}
