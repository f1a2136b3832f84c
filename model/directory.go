package model

import (
	"slices"
	"time"

	"github.com/uptrace/bun"
)

// Aliases maps a source system to the names it uses for one row of the
// directory. The source system "*" stands for every one.
type Aliases map[string][]string

// Hospital is a place that is measured by its own people and policy.
type Hospital struct {
	bun.BaseModel `bun:"table:hospitals,alias:h"`

	ID        HospitalID    `bun:"type:uuid,pk"`
	Code      string        // short, upper case, spoken: the first part of an action's ref
	Name      string        //
	Zone      string        // IANA zone, for people and pages; the SLA clock uses its calendar's
	Calendar  string        // name of a policy calendar; empty: around the clock
	Shadow    bool          // every action here suppresses its messages
	Aliases   JSON[Aliases] `bun:"type:jsonb"`
	Active    bool          //
	CreatedAt time.Time     //
	UpdatedAt time.Time     //
}

// Department is a part of a hospital with one manager.
type Department struct {
	bun.BaseModel `bun:"table:departments,alias:d"`

	ID         DepartmentID  `bun:"type:uuid,pk"`
	HospitalID HospitalID    `bun:"type:uuid"`
	Code       string        // unique within its hospital
	Name       string        //
	Calendar   string        // name of a policy calendar; empty: the hospital's
	ManagerID  *UserID       `bun:"type:uuid"`
	Aliases    JSON[Aliases] `bun:"type:jsonb"`
	Active     bool          //
	CreatedAt  time.Time     //
	UpdatedAt  time.Time     //
}

// User is a person of the directory. A user without a hospital belongs to all.
type User struct {
	bun.BaseModel `bun:"table:users,alias:u"`

	ID             UserID          `bun:"type:uuid,pk"`
	Code           string          // unique, as the hospital names its staff
	Name           string          //
	Email          string          //
	Phone          string          //
	Locale         string          // BCP 47; empty: en
	Zone           string          // IANA zone; empty: the hospital's
	Roles          JSON[[]Role]    `bun:"type:jsonb"`
	HospitalID     *HospitalID     `bun:"type:uuid"`
	DepartmentID   *DepartmentID   `bun:"type:uuid"`
	Channels       JSON[[]Channel] `bun:"type:jsonb"` // how to reach them; empty: the log channel
	WebhookURL     string          `bun:"webhook_url"`
	WebhookSecret  string          // whsec_…; empty: the process-wide secret
	SubstituteID   *UserID         `bun:"type:uuid"`
	SubstituteFrom *time.Time      // absent in [from, to); nil from: no absence
	SubstituteTo   *time.Time      // nil with a from: until told otherwise
	Aliases        JSON[Aliases]   `bun:"type:jsonb"`
	Active         bool            //
	CreatedAt      time.Time       //
	UpdatedAt      time.Time       //
}

// Survey is a questionnaire whose scale is known, so that its senders need not
// repeat it.
type Survey struct {
	bun.BaseModel `bun:"table:surveys,alias:sv"`

	ID          SurveyID      `bun:"type:uuid,pk"`
	Code        string        // unique
	Name        string        //
	Metric      Metric        // score or nps
	ScoreMin    *float64      //
	ScoreMax    *float64      //
	ScoreBetter Better        // empty: not known
	Aliases     JSON[Aliases] `bun:"type:jsonb"`
	Active      bool          //
	CreatedAt   time.Time     //
	UpdatedAt   time.Time     //
}

// APIKey lets one source system in. Only its hash is kept.
type APIKey struct {
	bun.BaseModel `bun:"table:api_keys,alias:k"`

	ID           KeyID              `bun:"type:uuid,pk"`
	Name         string             //
	Prefix       string             // the first characters, to tell keys apart
	Hash         []byte             // SHA-256 of the whole key
	SourceSystem string             // feedback of this key comes from here
	Hospitals    JSON[[]HospitalID] `bun:"type:jsonb"` // empty: all
	Scopes       JSON[[]string]     `bun:"type:jsonb"` // what it may be used for: store.Scopes
	OnUnmapped   OnUnmapped         //
	ExpiresAt    *time.Time         // machine time; nil: never
	RevokedAt    *time.Time         //
	LastUsedAt   *time.Time         //
	CreatedBy    *UserID            `bun:"type:uuid"`
	CreatedAt    time.Time          //
}

// Allows reports whether the key has a scope.
func (k *APIKey) Allows(scope string) bool { return slices.Contains(k.Scopes.V, scope) }

// OnUnmapped says what happens to feedback that can't be read or mapped.
type OnUnmapped string

// Reject answers a problem; quarantine stores it and answers 202.
const (
	UnmappedReject     OnUnmapped = "reject"
	UnmappedQuarantine OnUnmapped = "quarantine"
)
