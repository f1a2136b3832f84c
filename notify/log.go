package notify

import (
	"context"

	"github.com/rs/zerolog"
)

// Log is the channel of those who have no other: one log line per letter, with
// ids, ref and reasons only. It never fails.
type Log struct {
	log zerolog.Logger
}

// NewLog makes the log channel.
func NewLog(log zerolog.Logger) *Log { return &Log{log: log} }

// Send writes the line "message".
func (c *Log) Send(_ context.Context, l Letter) (Receipt, error) {
	also := make([]string, len(l.Also))
	for i, r := range l.Also {
		also[i] = string(r)
	}
	c.log.Info().
		Str("key", l.Key).
		Str("action", l.ActionID.String()).
		Str("recipient", l.Recipient.ID.String()).
		Str("ref", l.Facts.Ref).
		Str("reason", string(l.Reason)).
		Strs("also", also).
		Msg("message")
	return Receipt{}, nil
}
