package model

import (
	"encoding/json"
	"time"

	"github.com/uptrace/bun"
)

// CalendarFeed is what a holiday feed of the policy said last. Times are domain
// time.
type CalendarFeed struct {
	bun.BaseModel `bun:"table:calendar_feeds,alias:cf"`

	Calendar     string                `bun:",pk"` // its name in the policy
	Feed         string                `bun:",pk"` // the feed's own name
	Source       string                // URL or file that the last good answer is from
	Dates        JSON[json.RawMessage] `bun:"type:jsonb"` // of the last good answer, and past ones of those before; holidays of sla
	Timed        int                   // events of it that were left out because they are not all day
	SHA256       []byte                `bun:"sha256"` // of it; empty: there was none
	ETag         string                `bun:"etag"`
	LastModified string                //
	FetchedAt    *time.Time            // when it was asked for, or confirmed; nil: there was none
	LastError    string                // why there was no good answer since; empty: all is well
	FailedSince  *time.Time            // nil: all is well
}
