package model

import (
	"time"

	"github.com/uptrace/bun"
)

// Credential is how a person proves who they are. Its instants are machine time.
type Credential struct {
	bun.BaseModel `bun:"table:credentials,alias:cr"`

	UserID      UserID     `bun:"type:uuid,pk"`
	Hash        string     // PHC string of Argon2id
	ChangedAt   time.Time  //
	Failed      int        // attempts since the last login
	LockedUntil *time.Time // no attempt is taken before; nil: every one is
}

// Session is a browser that somebody has logged in with. Its instants are machine
// time.
type Session struct {
	bun.BaseModel `bun:"table:sessions,alias:se"`

	ID         []byte    `bun:",pk"` // SHA-256 of the token that the browser has
	UserID     UserID    `bun:"type:uuid"`
	CreatedAt  time.Time //
	LastSeenAt time.Time // to the minute
	ExpiresAt  time.Time // moves with LastSeenAt, up to a day after CreatedAt
}
