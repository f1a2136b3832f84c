package notify

import (
	"context"
	"crypto/x509"
	"maps"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/model"
)

// Settings is what the channels need to know, once per process.
type Settings struct {
	Log     zerolog.Logger   // of the log channel; the zero value drops the lines
	Now     func() time.Time // machine time, for signatures and Date headers; required
	Email   EmailSettings    // Host empty: no email
	Webhook WebhookSettings  // the zero value: signed with each recipient's own secret, public addresses only
	RootCAs *x509.CertPool   // whom email and webhook trust; nil: the system's
}

// Router sends each letter over the channel that its row names. Safe for
// concurrent use.
type Router struct {
	channels map[model.Channel]Channel
	webhook  *Webhook
}

// New makes the channels. The error is model.FieldErrors, all faults at once.
func New(s Settings) (*Router, error) {
	var faults model.FieldErrors
	if s.Now == nil {
		faults.Add("now", "required", "must be the machine's clock")
		return nil, faults.Err()
	}
	webhook := newWebhook(s, &faults)
	channels := map[model.Channel]Channel{model.ChannelLog: NewLog(s.Log), model.ChannelWebhook: webhook}
	if s.Email.Host != "" {
		email, err := newEmail(s, &faults)
		if err != nil {
			return nil, err
		}
		channels[model.ChannelEmail] = email
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return &Router{channels: channels, webhook: webhook}, nil
}

// Has reports whether letters can go over ch from this process.
func (r *Router) Has(ch model.Channel) bool { return r.channels[ch] != nil }

// Channels lists what letters can go over from this process.
func (r *Router) Channels() []model.Channel {
	return slices.Sorted(maps.Keys(r.channels))
}

// Send tries once to send l over ch. A failure is a *SendError. A channel that
// is not configured here is a temporary failure (channel_off): another process
// may have it, and an operator may add it.
func (r *Router) Send(ctx context.Context, ch model.Channel, l Letter) (Receipt, error) {
	if err := l.check(); err != nil {
		return Receipt{}, err
	}
	c, ok := r.channels[ch]
	if !ok {
		return Receipt{}, temporary("channel_off")
	}
	return c.Send(ctx, l)
}

// Post makes one signed call of a webhook that is no letter, as those are made:
// through the same guard, without redirects. A failure is a *SendError.
func (r *Router) Post(ctx context.Context, c Call) (Receipt, error) { return r.webhook.post(ctx, c) }

// Close drops idle connections. The router may still be used.
func (r *Router) Close() { r.webhook.close() }
