package notify

import (
	"context"
	"errors"
	"net/textproto"
	"strconv"

	"github.com/wneessen/go-mail"
)

// sessionError reads a failure before the message was offered: greeting, TLS,
// login. It concerns our access to the server and not this message, so even a
// 5xx is temporary: a changed password must not fail everything that waits.
func sessionError(err error) *SendError {
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return temporary("smtp_session_" + strconv.Itoa(answer.Code))
	}
	if f := fault(context.Background(), err); f.Code != "connection" {
		return f
	}
	return temporary("smtp_session")
}

// deliveryError reads the server's answer to the message: 5xx is for good, 4xx
// is not. go-mail calls a broken connection permanent, so its own verdict is not asked.
func deliveryError(err error) *SendError {
	var answer *mail.SendError
	if !errors.As(err, &answer) {
		return fault(context.Background(), err)
	}
	status := answer.ErrorCode()
	code := "smtp_" + strconv.Itoa(status)
	if enhanced := answer.EnhancedStatusCode(); enhanced != "" {
		code += "_" + enhanced
	}
	switch {
	case asksForLogin(status):
		return temporary("smtp_session_" + strconv.Itoa(status))
	case status >= 500:
		return permanent(code)
	case status >= 400:
		return temporary(code)
	case answer.Reason == mail.ErrGetSender, answer.Reason == mail.ErrGetRcpts:
		return permanent("bad_email")
	default:
		// SendError does not unwrap to what happened on the line.
		return temporary("connection")
	}
}

// asksForLogin names the 5xx that ask for a login or for TLS first: those of a session, met late.
func asksForLogin(status int) bool {
	switch status {
	case 523, 530, 534, 535, 538:
		return true
	default:
		return false
	}
}
