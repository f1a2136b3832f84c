package notify

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// Letter is all that a channel needs to tell one person one thing: the minimum,
// and a link to the rest.
type Letter struct {
	Key       string // stable over all tries of one message; visible ASCII, at most 200 characters
	ActionID  model.ActionID
	Recipient Recipient
	Reason    model.Reason
	Also      []model.Reason // lighter reasons that the same letter stands for
	Facts     model.MessageFacts
	Link      string    // the action's page; empty: none
	WrittenAt time.Time // when the message row was written, domain time
}

// Recipient is where and how to reach one person.
type Recipient struct {
	ID            model.UserID
	Name          string // empty: no salutation
	Email         string
	WebhookURL    string
	WebhookSecret string // whsec_…, several separated by spaces; empty: the process-wide one
	Locale        string // BCP 47; all texts are English for now
	Zone          string // IANA zone of the times in the text; empty or unknown: UTC
}

// Receipt is what a channel gives for a letter that was taken.
type Receipt struct {
	ProviderRef string // how the receiver names it: the mail server's answer, the HTTP status; may be empty
}

// Channel is one way to reach a person. Send tries once; a failure is a
// *SendError. It may be called concurrently, and again with the same letter.
type Channel interface {
	Send(ctx context.Context, l Letter) (Receipt, error)
}

// Compose makes the letter of a message row. The recipient's zone is their own,
// else zone, that of the action's hospital. baseURL is where the pages are
// served; empty leaves the link out.
func Compose(m *model.Message, u *model.User, zone, baseURL string) Letter {
	if u.Zone != "" {
		zone = u.Zone
	}
	return Letter{
		Key:      m.Key,
		ActionID: m.ActionID,
		Recipient: Recipient{
			ID:            u.ID,
			Name:          u.Name,
			Email:         u.Email,
			WebhookURL:    u.WebhookURL,
			WebhookSecret: u.WebhookSecret,
			Locale:        u.Locale,
			Zone:          zone,
		},
		Reason:    m.Reason,
		Also:      m.Also.V,
		Facts:     m.Facts.V,
		Link:      ActionURL(baseURL, m.Facts.V.Ref),
		WrittenAt: m.CreatedAt,
	}
}

// ActionURL is the address of an action's page; "" for an empty base or ref.
func ActionURL(baseURL, ref string) string {
	if baseURL == "" || ref == "" {
		return ""
	}
	return strings.TrimRight(baseURL, "/") + "/actions/" + url.PathEscape(ref)
}

// maxKey bounds a key: it stands in headers.
const maxKey = 200

// check refuses a letter that no channel could send under a key that holds.
func (l *Letter) check() *SendError {
	if l.Key == "" || len(l.Key) > maxKey || strings.ContainsFunc(l.Key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return permanent("bad_key")
	}
	if l.Facts.Ref == "" {
		return permanent("no_ref")
	}
	return nil
}
