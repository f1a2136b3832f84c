package model

import (
	"database/sql/driver"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"
)

// XID is the number of a transaction, as PostgreSQL counts them (xid8).
type XID uint64

// Value implements driver.Valuer: as text, for no number turns into an xid8.
func (x XID) Value() (driver.Value, error) { return strconv.FormatUint(uint64(x), 10), nil }

// Scan implements sql.Scanner.
func (x *XID) Scan(src any) error {
	n, err := strconv.ParseUint(fmt.Sprint(src), 10, 64)
	if b, ok := src.([]byte); ok {
		n, err = strconv.ParseUint(string(b), 10, 64)
	}
	*x = XID(n)
	return err
}

// Cursor is a place in the stream of changes: behind one log row. The zero
// Cursor is the beginning.
type Cursor struct {
	Epoch    string   // of the stream: a restored database has another; empty: any
	XID      XID      `bun:"xid,type:xid8"`
	ActionID ActionID `bun:"type:uuid"`
	Seq      int      //
}

// String is the cursor as its readers keep it; "0" for the beginning.
func (c Cursor) String() string {
	if c == (Cursor{}) {
		return "0"
	}
	return fmt.Sprintf("%s-%d-%s-%d", c.Epoch, c.XID, c.ActionID.Hex(), c.Seq)
}

// MarshalText implements encoding.TextMarshaler.
func (c Cursor) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// ParseCursor reads what String wrote; else a FieldErrors of the field.
func ParseCursor(field, s string) (Cursor, error) {
	if s == "0" {
		return Cursor{}, nil
	}
	var c Cursor
	parts := strings.Split(s, "-")
	ok := len(parts) == 4 && parts[0] != ""
	if ok {
		xid, errX := strconv.ParseUint(parts[1], 10, 63)
		id, errA := ParseID[Action](parts[2])
		seq, errS := strconv.ParseUint(parts[3], 10, 31)
		c = Cursor{Epoch: parts[0], XID: XID(xid), ActionID: id, Seq: int(seq)}
		ok = errX == nil && errA == nil && errS == nil && c.String() == s
	}
	if !ok {
		return Cursor{}, FieldErrors{{Field: field, Code: "format", Want: "the id of a change, as it was given, or 0 for the beginning"}}
	}
	return c, nil
}

// Hook is a program that hears of changes by webhook, in their order.
type Hook struct {
	bun.BaseModel `bun:"table:hooks,alias:hk"`

	ID                HookID             `bun:"type:uuid,pk"`
	Name              string             // a-z, 0-9, - and _; unique among those that are not deleted
	URL               string             `bun:"url"`
	Secret            string             // whsec_…
	SourceSystem      string             // only changes of actions that came from there; empty: all
	Hospitals         JSON[[]HospitalID] `bun:"type:jsonb"` // empty: all
	IncludeRestricted bool               //
	Active            bool               // false: paused, or deleted
	Cursor            Cursor             `bun:"embed:cursor_"` // behind the last change that it took
	Claims            int64              // rises with each claim; a settlement needs the same
	ClaimedUntil      *time.Time         // machine time; nil: nobody is at it
	Failures          int                // tries that failed since the last that did not
	NextTryAt         *time.Time         // machine time; nil: at once
	LastError         string             // a code; empty: none since the last that was taken
	LastOKAt          *time.Time         `bun:"last_ok_at"` // machine time
	CreatedBy         string             //
	CreatedAt         time.Time          //
	DeletedAt         *time.Time         //
}
