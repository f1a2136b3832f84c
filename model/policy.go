package model

import (
	"encoding/json"
	"time"

	"github.com/uptrace/bun"
)

// PolicyRevision is the whole policy at one time. Append-only; the highest
// revision is the active one. Revision 0 does not exist: it names the
// built-in policy.
type PolicyRevision struct {
	bun.BaseModel `bun:"table:policy_revisions,alias:pr"`

	Revision  int64                 `bun:",pk,autoincrement"`
	Document  JSON[json.RawMessage] `bun:"type:jsonb"` // the document of sla.Policy
	SHA256    []byte                `bun:"sha256"`
	Note      string                //
	CreatedBy string                // who, as given by the caller
	CreatedAt time.Time             //
}

// SLAConfig is an SLA config as materialised from a policy revision. What the
// domain's fields cannot hold stands in Spec.
type SLAConfig struct {
	bun.BaseModel `bun:"table:sla_configs,alias:sc"`

	ID                   SLAConfigID           `bun:"type:uuid,pk"`
	Revision             int64                 //
	Name                 string                //
	HospitalID           *HospitalID           `bun:"type:uuid"`
	DepartmentID         *DepartmentID         `bun:"type:uuid"`
	CriticalHours        int                   //
	HighHours            int                   //
	MediumHours          int                   //
	LowHours             int                   //
	ReminderHoursBefore  int                   //
	AutoEscalate         bool                  //
	EscalationDelayHours int                   //
	IsActive             bool                  //
	Spec                 JSON[json.RawMessage] `bun:"type:jsonb"` // the config as written in the policy
	CreatedAt            time.Time             //
	UpdatedAt            time.Time             //
}

// RoutingRule is a routing rule as materialised from a policy revision. A
// blank condition fits all.
type RoutingRule struct {
	bun.BaseModel `bun:"table:routing_rules,alias:rr"`

	ID                 RoutingRuleID `bun:"type:uuid,pk"`
	Revision           int64         //
	Name               string        //
	Description        string        //
	SourceType         SourceType    //
	Category           Category      //
	Severity           Severity      //
	HospitalID         *HospitalID   `bun:"type:uuid"`
	DepartmentID       *DepartmentID `bun:"type:uuid"`
	AssignToRole       Role          //
	AssignToUser       *UserID       `bun:"type:uuid"`
	AssignToDepartment *DepartmentID `bun:"type:uuid"`
	Priority           int           //
	IsActive           bool          //
	CreatedAt          time.Time     //
	UpdatedAt          time.Time     //
}
